//! EndpointSlice: some of the addresses behind a service.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// EndpointSlice.
pub struct EndpointSlice;

static CARD: Card = Card {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::discovery_v1::ENDPOINT_SLICE),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for EndpointSlice {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        validate::default(object);
    }
    fn prepare_update(&self, object: &mut Value, old: &Value, _door: Door) {
        crate::strategy::count_change(object, old, "labels");
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
    fn warnings(&self, object: &Value, _old: Option<&Value>) -> Vec<String> {
        match object.str_at(&["addressType"]) {
            "FQDN" => vec!["addressType: FQDN endpoints are deprecated".into()],
            _ => Vec::new(),
        }
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
