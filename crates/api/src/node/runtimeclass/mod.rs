//! RuntimeClass: how containers are run.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

/// RuntimeClass.
pub struct RuntimeClass;

static CARD: Card = Card {
    group: "node.k8s.io",
    version: "v1",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    singular: "runtimeclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: &crate::generated::node_v1::RUNTIME_CLASS,
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for RuntimeClass {
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
