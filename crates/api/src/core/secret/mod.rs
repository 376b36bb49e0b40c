//! Secret: configuration that few may read.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

/// Secret.
pub struct Secret;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: &crate::generated::core_v1::SECRET,
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Secret {
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
