//! ConfigMap: configuration that pods read.

mod columns;
mod validate;

pub(crate) use validate::SIZE_MAX;

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// ConfigMap.
pub struct ConfigMap;

static CARD: Card = Card {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::core_v1::CONFIG_MAP),
    name: NameRule::Subdomain,
    generation: false,
};

impl Kind for ConfigMap {
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
