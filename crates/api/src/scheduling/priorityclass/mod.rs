//! PriorityClass: a name for a priority.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

/// PriorityClass.
pub struct PriorityClass;

static CARD: Card = Card {
    group: "scheduling.k8s.io",
    version: "v1",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: &crate::generated::scheduling_v1::PRIORITY_CLASS,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for PriorityClass {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
}
