//! ReplicaSet: so many equal pods.

mod columns;

pub(crate) use columns::{COLUMNS, cells};

use crate::kind::{Card, Column, Kind, NameRule, SCALE, STATUS, Verbs};
use crate::print;
use jiff::Timestamp;
use meta::Value;

/// ReplicaSet.
pub struct ReplicaSet;

static CARD: Card = Card {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[SCALE, STATUS],
    schema: &crate::generated::apps_v1::REPLICA_SET,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for ReplicaSet {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(
            object,
            print::selector(object.at(&["spec", "selector"])),
            now,
        )
    }
}
