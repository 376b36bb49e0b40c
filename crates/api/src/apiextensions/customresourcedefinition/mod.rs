//! CustomResourceDefinition: a kind that a user defines. Follows
//! pkg/registry/customresourcedefinition/strategy.go of apiextensions-apiserver.

mod columns;
mod defaults;
pub mod status;
mod validate;
mod validate_schema;
mod validate_structural;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// CustomResourceDefinition.
pub struct CustomResourceDefinition;

/// Holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

static CARD: Card = Card {
    group: "apiextensions.k8s.io",
    version: "v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: meta::schema::Ref::Static(
        &crate::generated::apiextensions_v1::CUSTOM_RESOURCE_DEFINITION,
    ),
    name: NameRule::Any,
    generation: true,
};

impl Kind for CustomResourceDefinition {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::fill(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        object.remove_at(&["status"]);
        status::remember_storage(object);
    }
    fn prepare_update(&self, object: &mut Value, _old: &Value, door: Door) {
        if door == Door::Main {
            status::remember_storage(object);
        }
    }
    fn prepare_delete(&self, object: &mut Value) {
        status::begin_end(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, old, door, errors);
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, _now: Timestamp) -> Vec<Value> {
        columns::cells(object)
    }
}

#[cfg(test)]
mod tests;
