//! rbac.authorization.k8s.io: roles and who has them.

pub mod clusterrole;
pub mod clusterrolebinding;
pub mod role;
pub mod rolebinding;
mod rules;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[
    &clusterrole::ClusterRole,
    &clusterrolebinding::ClusterRoleBinding,
    &role::Role,
    &rolebinding::RoleBinding,
];
