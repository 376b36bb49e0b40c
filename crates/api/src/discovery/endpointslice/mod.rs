//! EndpointSlice: some of the addresses behind a service.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

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
    schema: &crate::generated::discovery_v1::ENDPOINT_SLICE,
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for EndpointSlice {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
}
