//! Deployment: pods that are replaced step by step.

mod columns;
mod defaults;
pub(crate) mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, SCALE, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Deployment.
pub struct Deployment;

static CARD: Card = Card {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[SCALE, STATUS],
    schema: meta::schema::Ref::Static(&crate::generated::apps_v1::DEPLOYMENT),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for Deployment {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::fill(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        crate::core::pod::template::prepare(object.at_mut(&["spec", "template"]));
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, door: Door) {
        // A rollback rewrites annotations only: those count as well.
        if door == Door::Main {
            crate::strategy::count_change(object, old, "annotations");
        }
        crate::core::pod::template::prepare(object.at_mut(&["spec", "template"]));
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
    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        crate::core::pod::template::warnings(object, old, &["spec", "template"])
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
}

#[cfg(test)]
mod tests;
