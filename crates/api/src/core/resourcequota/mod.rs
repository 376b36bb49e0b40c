//! ResourceQuota: how much of everything a namespace may have.

mod columns;
pub mod usage;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// ResourceQuota.
pub struct ResourceQuota;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::RESOURCE_QUOTA),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for ResourceQuota {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::spec(&object.get("spec"), errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        door: Door,
        errors: &mut Errors,
    ) {
        match door {
            Door::Status => validate::status(&object.get("status"), errors),
            _ => validate::update(object, old, errors),
        }
    }
    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(object, now)
    }
    fn returns_deleted(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
