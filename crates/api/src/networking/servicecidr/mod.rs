//! ServiceCIDR: a range that services take their addresses from.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// ServiceCIDR.
pub struct ServiceCIDR;

static CARD: Card = Card {
    group: "networking.k8s.io",
    version: "v1",
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: meta::schema::Ref::Static(&crate::generated::networking_v1::SERVICE_CIDR),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for ServiceCIDR {
    fn card(&self) -> &'static Card {
        &CARD
    }
    /// As upstream's strategy leaves it (pkg/registry/networking/servicecidr).
    fn keeps_status_on_create(&self) -> bool {
        true
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
        if door == Door::Main {
            validate::update(object, old, errors)
        };
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
