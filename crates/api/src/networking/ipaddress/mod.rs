//! IPAddress: an address that a service holds.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// IPAddress.
pub struct IPAddress;

static CARD: Card = Card {
    group: "networking.k8s.io",
    version: "v1",
    kind: "IPAddress",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::networking_v1::IP_ADDRESS),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for IPAddress {
    fn card(&self) -> &'static Card {
        &CARD
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
