//! Service: one address for many pods.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::Value;

/// Service.
pub struct Service;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: &crate::generated::core_v1::SERVICE,
    name: NameRule::Label1035,
    generation: false,
};

impl Kind for Service {
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
