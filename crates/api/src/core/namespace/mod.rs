//! Namespace: where names are unique and rights are given.

mod columns;
mod strategy;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Subresource, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

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
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::NAMESPACE),
    name: NameRule::Label,
    generation: false,
};

impl Kind for Namespace {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        strategy::default(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        strategy::prepare_create(object);
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, door: Door) {
        strategy::prepare_update(object, old, door);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        _old: &Field<'_>,
        door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, door, errors);
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn selectable(&self) -> &'static [&'static str] {
        &["status.phase"]
    }
    fn prepare_delete(&self, object: &mut Value) {
        strategy::prepare_delete(object);
    }
    fn is_held(&self, object: &Value) -> bool {
        strategy::is_held(object)
    }
}

#[cfg(test)]
mod tests;
