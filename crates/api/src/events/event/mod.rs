//! Event of events.k8s.io: the newer spelling of the core Event, stored as that.

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

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
    schema: &crate::generated::events_v1::EVENT,
    name: NameRule::Any,
    generation: false,
};

impl Kind for Event {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        crate::core::event::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        crate::core::event::cells(object, now)
    }
}
