//! Endpoints: the addresses behind a service, in the older form.

mod columns;
mod validate;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Endpoints.
pub struct Endpoints;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::ENDPOINTS),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Endpoints {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        validate::default(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn deprecated(&self) -> Option<&'static str> {
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn creates_on_update(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
