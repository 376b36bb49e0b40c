//! ClusterRoleBinding: who has a ClusterRole everywhere.

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use jiff::Timestamp;
use meta::Value;

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
    schema: &crate::generated::rbac_v1::CLUSTER_ROLE_BINDING,
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for ClusterRoleBinding {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn columns(&self) -> &'static [Column] {
        crate::rbac::rolebinding::COLUMNS
    }
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        crate::rbac::rolebinding::cells(object, now)
    }
}
