//! Role: rights in a namespace.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use crate::rbac::rules;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// Role.
pub struct Role;

static CARD: Card = Card {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    kind: "Role",
    plural: "roles",
    singular: "role",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::rbac_v1::ROLE),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for Role {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        rules::validate(object, true, errors);
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
