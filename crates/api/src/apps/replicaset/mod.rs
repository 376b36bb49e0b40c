//! ReplicaSet: so many equal pods.

mod columns;
mod validate;

pub(crate) use columns::{COLUMNS, cells};

use crate::kind::{Card, Column, Door, Kind, NameRule, SCALE, STATUS, Verbs};
use crate::print;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

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
    schema: meta::schema::Ref::Static(&crate::generated::apps_v1::REPLICA_SET),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for ReplicaSet {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        let spec = object.make_object().entry("spec");
        crate::fill::absent(spec, "replicas", 1);
        crate::core::pod::template::default(spec.make_object().entry("template"));
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

#[cfg(test)]
mod tests;
