//! LimitRange: what containers and pods of a namespace get, and between which
//! bounds.

mod defaults;
mod validate;

use crate::kind::{CREATED_AT, Card, Column, Kind, NAME, NameRule, Verbs};
use crate::print;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// LimitRange.
pub struct LimitRange;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::LIMIT_RANGE),
    name: NameRule::Subdomain,
    generation: false,
};

static COLUMNS: &[Column] = &[NAME, CREATED_AT];

impl Kind for LimitRange {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        defaults::fill(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate::create(object, errors);
    }
    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }
    fn cells(&self, object: &Value, _now: Timestamp) -> Vec<Value> {
        vec![print::name(object), print::created_at(object)]
    }
}

#[cfg(test)]
mod tests;
