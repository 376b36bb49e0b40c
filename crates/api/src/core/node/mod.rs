//! Node: a machine that runs pods.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::Value;

/// Node.
pub struct Node;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: &crate::generated::core_v1::NODE,
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Node {
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
