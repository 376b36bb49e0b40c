//! Event of events.k8s.io: the newer spelling of the core Event, stored as that.

mod hub;

use crate::core::event::validate::{self, Through};
use crate::kind::{Card, Column, Door, Hub, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Event.
pub struct Event;

static CARD: Card = Card {
    group: "events.k8s.io",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::events_v1::EVENT),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for Event {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let event = core_form(object);
        validate::create(&Field::root(&event), Through::Events, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        let (event, old) = (core_form(object), core_form(old));
        let (event, old) = (Field::root(&event), Field::root(&old));
        validate::update(&event, &old, Through::Events, errors);
    }
    fn columns(&self) -> &'static [Column] {
        crate::core::event::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        crate::core::event::cells(&hub::EventHub.to_hub(object.clone()), now)
    }
    fn creates_on_update(&self) -> bool {
        true
    }
    fn hub(&self) -> Option<&'static dyn Hub> {
        Some(&hub::EventHub)
    }
    fn selectable(&self) -> &'static [&'static str] {
        &[
            "reason",
            "regarding.apiVersion",
            "regarding.fieldPath",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.resourceVersion",
            "regarding.uid",
            "reportingController",
            "type",
        ]
    }
    fn field(&self, object: &Value, name: &str) -> String {
        crate::core::event::Event
            .field(&hub::EventHub.to_hub(object.clone()), &hub::core_name(name))
    }
}

fn core_form(event: &Field<'_>) -> Value {
    hub::EventHub.to_hub(event.value.cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests;
