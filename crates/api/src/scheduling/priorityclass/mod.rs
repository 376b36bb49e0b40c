//! PriorityClass: a name for a priority.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// PriorityClass.
pub struct PriorityClass;

static CARD: Card = Card {
    group: "scheduling.k8s.io",
    version: "v1",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::scheduling_v1::PRIORITY_CLASS),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for PriorityClass {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        crate::fill::absent(object, "preemptionPolicy", "PreemptLowerPriority");
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, old, errors);
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
