//! ClusterRole: rights everywhere.

mod columns;

use crate::kind::{Card, Column, Kind, NameRule, Verbs};
use crate::rbac::rules;
use jiff::Timestamp;
use meta::{Errors, Field, Value};

/// ClusterRole.
pub struct ClusterRole;

static CARD: Card = Card {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: Verbs::All,
    subresources: &[],
    schema: meta::schema::Ref::Static(&crate::generated::rbac_v1::CLUSTER_ROLE),
    name: NameRule::PathSegment,
    generation: false,
};

impl Kind for ClusterRole {
    fn card(&self) -> &'static Card {
        &CARD
    }
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        rules::validate(object, false, errors);
        rules::validate_aggregation(object, errors);
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
