//! Event: what happened to an object, kept for a while.

mod columns;
pub(crate) mod validate;

pub(crate) use columns::{COLUMNS, cells};

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};
use validate::Through;

/// How long an event is kept.
const TTL: std::time::Duration = std::time::Duration::from_secs(3600);

/// Event.
pub struct Event;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::EVENT),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for Event {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, Through::Core, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        validate::update(object, old, Through::Core, errors);
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn ttl(&self) -> Option<std::time::Duration> {
        Some(TTL)
    }
    fn creates_on_update(&self) -> bool {
        true
    }
    fn selectable(&self) -> &'static [&'static str] {
        &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }
    fn field(&self, object: &Value, name: &str) -> String {
        match (name, object.str_at(&["source", "component"])) {
            ("source", "") => object.str_at(&["reportingComponent"]).into(),
            ("source", component) => component.into(),
            _ => crate::print::text_at(object, name),
        }
    }
}

#[cfg(test)]
mod tests;
