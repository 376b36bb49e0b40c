//! apps: workloads.

pub mod controllerrevision;
pub mod deployment;
pub mod replicaset;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[
    &controllerrevision::ControllerRevision,
    &deployment::Deployment,
    &replicaset::ReplicaSet,
];
