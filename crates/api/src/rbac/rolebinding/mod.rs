//! RoleBinding: who has a role in a namespace.

mod columns;

pub(crate) use columns::{COLUMNS, cells};

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use crate::rbac::rules;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// RoleBinding.
pub struct RoleBinding;

static CARD: Card = Card {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::rbac_v1::ROLE_BINDING),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for RoleBinding {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        rules::default_binding(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        rules::validate_binding(object, &["Role", "ClusterRole"], true, errors);
    }
    fn validate_update(
        &self,
        object: &Field<'_>,
        old: &Field<'_>,
        _door: Door,
        errors: &mut Errors,
    ) {
        self.validate(object, errors);
        rules::validate_role_stays(object, old, errors);
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
