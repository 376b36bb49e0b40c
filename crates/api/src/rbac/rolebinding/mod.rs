//! RoleBinding: who has a role in a namespace.

mod columns;

pub(crate) use columns::{COLUMNS, cells};

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

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
    schema: &crate::generated::rbac_v1::ROLE_BINDING,
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for RoleBinding {
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
