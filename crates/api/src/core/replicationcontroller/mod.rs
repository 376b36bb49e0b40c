//! ReplicationController: so many pods, in the oldest form.

mod columns;
mod defaults;
mod validate;

pub(crate) use validate::status as validate_status;

use crate::kind::{Card, Column, Door, Kind, NameRule, SCALE, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

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
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::REPLICATION_CONTROLLER),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for ReplicationController {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::fill(object);
    }
    fn prepare_create(&self, object: &mut Value) {
        crate::core::pod::template::prepare(object.at_mut(&["spec", "template"]));
    }
    fn prepare_update(&self, object: &mut Value, _old: &Value, _door: Door) {
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
    fn selectable(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }
    fn field(&self, object: &Value, name: &str) -> String {
        crate::print::count_at(object, name)
    }
    fn orphans_by_default(&self) -> bool {
        true
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
