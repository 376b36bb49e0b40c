//! What a set has to do to have the pods it wants, decided from a snapshot.

use super::{LOOK_AHEAD_MIN, rank};
use crate::pods;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;
use typed::Typed;
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1 as core;
use typed::lean::Pod;
use typed::meta::{ObjectMeta, OwnerReference};

/// No more pods than this are created or deleted at a time.
const BURST: usize = 500;

/// What to do.
#[derive(Debug)]
pub(super) enum Manage {
    /// There are as many pods as there should be.
    Nothing,
    /// So many are missing.
    Create(usize),
    /// These are too many.
    Delete(Vec<Arc<Pod>>),
}

/// Compares the pods that are with the number that should be.
pub(super) fn manage(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    related: &[Arc<Pod>],
    now: Timestamp,
) -> Manage {
    let wanted = wanted(set);
    if active.len() < wanted {
        return Manage::Create((wanted - active.len()).min(BURST));
    }
    match (active.len() - wanted).min(BURST) {
        0 => Manage::Nothing,
        surplus => Manage::Delete(rank::first_to_go(active, related, surplus, now)),
    }
}

/// How many pods the set wants.
pub(super) fn wanted(set: &ReplicaSet) -> usize {
    let replicas = set.spec.replicas.unwrap_or(1);
    usize::try_from(replicas).unwrap_or(0)
}

/// When the next pod becomes available by the passing of time alone.
pub(super) fn next_look(set: &ReplicaSet, active: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let seconds = set.spec.min_ready_seconds.filter(|seconds| *seconds > 0)?;
    let waits = active
        .iter()
        .filter_map(|pod| pods::available_in(pod, seconds, now));
    waits
        .filter(|wait| !wait.is_zero())
        .min()
        .map(|wait| wait.max(LOOK_AHEAD_MIN))
}

/// A pod as the set's template describes it, whole.
pub(super) fn pod_of(set: &ReplicaSet, owner: OwnerReference) -> core::Pod {
    let template = set.spec.template.clone().unwrap_or_default();
    let template_meta = template.metadata.unwrap_or_default();
    core::Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.name())),
            namespace: set.metadata.namespace.clone(),
            labels: template_meta.labels,
            annotations: template_meta.annotations,
            finalizers: template_meta.finalizers,
            owner_references: Some(vec![owner]),
            ..Default::default()
        },
        spec: template.spec,
        status: None,
    }
}
