//! Namespace: where names are unique and rights are given.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::Value;

/// Namespace.
pub struct Namespace;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::NoDeleteCollection,
    subresources: &[
        Subresource {
            name: "finalize",
            verbs: &["update"],
            body: None,
        },
        STATUS,
    ],
    schema: &crate::generated::core_v1::NAMESPACE,
    name: NameRule::Label,
    generation: false,
};

impl Kind for Namespace {
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
