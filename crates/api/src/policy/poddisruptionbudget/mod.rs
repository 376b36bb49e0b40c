//! PodDisruptionBudget: how many pods of an application must stay while
//! others are moved out of the way.

mod columns;
mod validate;

use crate::kind::{Card, Column, Door, Kind, NameRule, STATUS, Verbs};
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// PodDisruptionBudget.
pub struct PodDisruptionBudget;

static CARD: Card = Card {
    group: "policy",
    version: "v1",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[STATUS],
    schema: meta::schema::Ref::Static(&crate::generated::policy_v1::POD_DISRUPTION_BUDGET),
    name: NameRule::Subdomain,
    generation: true,
};

impl Kind for PodDisruptionBudget {
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
            _ => validate::update(&object.get("spec"), &old.get("spec"), errors),
        }
    }
    fn updates_unconditionally(&self) -> bool {
        false
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
