//! What a set says of itself. Follows pkg/controller/replicaset/replica_set_utils.go.

use super::plan::wanted;
use crate::pods;
use client::Error;
use std::sync::Arc;
use stdx::Timestamp;
use typed::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use typed::lean::Pod;
use typed::{Labels, Time, Typed, set_matches};

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The status after a look: what the pods are, and whether managing them failed.
pub(super) fn calculate(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<&Error>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = &set.spec;
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let template = spec
        .template
        .as_ref()
        .and_then(|template| template.metadata.as_ref()?.labels.as_ref());
    let fits = |pod: &Pod| template.is_none_or(|labels: &Labels| set_matches(labels, pod.labels()));
    let count = |of: &dyn Fn(&Pod) -> bool| number(active.iter().filter(|pod| of(pod)).count());
    let old = set.status.clone().unwrap_or_default();
    ReplicaSetStatus {
        replicas: number(active.len()),
        fully_labeled_replicas: positive(count(&fits)),
        ready_replicas: positive(count(&pods::is_ready)),
        available_replicas: positive(count(&|pod| pods::is_available(pod, min_ready, now))),
        terminating_replicas: Some(number(terminating)),
        observed_generation: Some(set.generation()),
        conditions: conditions(old.conditions, set, active.len(), failure, now),
    }
}

fn conditions(
    old: Option<Vec<ReplicaSetCondition>>,
    set: &ReplicaSet,
    have: usize,
    failure: Option<&Error>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = old.unwrap_or_default();
    let known = conditions
        .iter()
        .any(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE));
    match failure {
        Some(error) if !known => conditions.push(ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(
                if have < wanted(set) {
                    "FailedCreate"
                } else {
                    "FailedDelete"
                }
                .to_owned(),
            ),
            message: Some(error.message()),
            last_transition_time: Some(Time(seconds(now))),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.type_.as_deref() != Some(REPLICA_FAILURE)),
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// Objects carry whole seconds: a status is compared with what comes back.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Zeros are not written, so that a status compares equal to what comes back.
fn positive(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
