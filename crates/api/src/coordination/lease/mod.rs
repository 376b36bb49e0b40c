//! Lease: who holds something, and since when.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Lease.
pub struct Lease;

static CARD: Card = Card {
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::coordination_v1::LEASE),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for Lease {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn prepare_create(&self, object: &mut Value) {
        validate::prepare(object);
    }
    fn prepare_update(&self, object: &mut Value, _old: &Value, _door: Door) {
        validate::prepare(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
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
    fn updates_unconditionally(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
