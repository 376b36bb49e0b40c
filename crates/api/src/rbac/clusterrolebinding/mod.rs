//! ClusterRoleBinding: who has a ClusterRole everywhere.

use crate::kind::{Card, Column, Door, Kind, NameRule, Verbs};
use crate::rbac::rules;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// ClusterRoleBinding.
pub struct ClusterRoleBinding;

static CARD: Card = Card {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::rbac_v1::CLUSTER_ROLE_BINDING),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for ClusterRoleBinding {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn default(&self, object: &mut Value) {
        rules::default_binding(object);
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        rules::validate_binding(object, &["ClusterRole"], false, errors);
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
        crate::rbac::rolebinding::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        crate::rbac::rolebinding::cells(object, now)
    }
    fn creates_on_update(&self) -> bool {
        true
    }
}
