//! ReplicationController: so many pods, in the oldest form.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, SCALE, STATUS, Verbs};
use jiff::Timestamp;
use meta::Value;

/// ReplicationController.
pub struct ReplicationController;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[SCALE, STATUS],
    schema: &crate::generated::core_v1::REPLICATION_CONTROLLER,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for ReplicationController {
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
