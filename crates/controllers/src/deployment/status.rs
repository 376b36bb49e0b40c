//! What a deployment says of itself, and whether it makes progress. Follows calculateStatus in
//! pkg/controller/deployment/sync.go and progress.go.

use super::plan::Draft;
use super::sets;
use crate::replicas::seconds;
use informer::Action;
use std::time::Duration;
use stdx::Timestamp;
use typed::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use typed::{Time, Typed};

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(super) const FOUND_NEW_SET: &str = "FoundNewReplicaSet";
pub(super) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub(super) const NEW_SET_CREATED: &str = "NewReplicaSetCreated";
pub(super) const PAUSED: &str = "DeploymentPaused";
pub(super) const RESUMED: &str = "DeploymentResumed";
pub(super) const SET_CREATE_ERROR: &str = "ReplicaSetCreateError";
pub(super) const SET_UPDATED: &str = "ReplicaSetUpdated";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The status that the draft's sets amount to.
pub(super) fn calculate(draft: &Draft<'_>) -> DeploymentStatus {
    let deployment = &draft.deployment;
    let sum = |of: &dyn Fn(&ReplicaSet) -> i32| draft.all().map(of).sum::<i32>();
    let available = sum(&sets::available);
    let ready = |set: &ReplicaSet| {
        set.status
            .as_ref()
            .and_then(|status| status.ready_replicas)
            .unwrap_or(0)
    };
    let old = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: Some(deployment.generation()),
        replicas: positive(sum(&sets::actual)),
        updated_replicas: positive(draft.new.as_ref().map_or(0, sets::actual)),
        ready_replicas: positive(sum(&ready)),
        available_replicas: positive(available),
        unavailable_replicas: positive(sum(&sets::replicas) - available),
        terminating_replicas: terminating(draft),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let enough = available >= sets::wanted(deployment) - sets::max_unavailable(deployment);
    let (state, reason, message) = if enough {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set_condition(
        &mut status,
        AVAILABLE,
        state,
        reason,
        message.to_owned(),
        draft.snapshot.now,
    );
    status
}

/// The status at the end of a step of a rollout, with an estimate of its progress.
pub(super) fn estimate(draft: &Draft<'_>) -> DeploymentStatus {
    let deployment = &draft.deployment;
    let mut status = calculate(draft);
    if has_deadline(deployment) {
        estimate_progress(draft, &mut status);
    } else {
        remove_condition(&mut status, PROGRESSING);
    }
    match replica_failure(draft) {
        Some(failure) => put_condition(&mut status, failure),
        None => remove_condition(&mut status, REPLICA_FAILURE),
    }
    status
}

/// When to look whether the deadline has passed.
pub(super) fn next_look(deployment: &Deployment, now: Timestamp) -> Action {
    let status = deployment.status.clone().unwrap_or_default();
    let Some(condition) = progress(deployment) else {
        return Action::Done;
    };
    let (Some(deadline), Some(updated)) = (deadline(deployment), &condition.last_update_time)
    else {
        return Action::Done;
    };
    if is_complete(deployment, &status) || condition.reason.as_deref() == Some(TIMED_OUT) {
        return Action::Done;
    }
    let left =
        Duration::try_from((updated.0 + deadline).duration_since(now)).unwrap_or(Duration::ZERO);
    if left < Duration::from_secs(1) {
        Action::Again
    } else {
        Action::After(left + Duration::from_secs(1))
    }
}

/// Whether all pods are new and available, and no others are there.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = sets::wanted(deployment);
    [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ]
    .iter()
    .all(|count| count.unwrap_or(0) == wanted)
        && status.observed_generation.unwrap_or(0) >= deployment.generation()
}

/// Whether the deployment has to make progress within some time.
pub(super) fn has_deadline(deployment: &Deployment) -> bool {
    deadline(deployment).is_some()
}

/// The condition that tells of progress.
pub(super) fn progress(deployment: &Deployment) -> Option<&DeploymentCondition> {
    find(deployment.status.as_ref()?, PROGRESSING)
}

/// The deployment with the news that its set could not be created, if it has a deadline and this
/// is news.
pub(super) fn with_create_error(
    deployment: &Deployment,
    message: String,
    now: Timestamp,
) -> Option<Deployment> {
    if !has_deadline(deployment) {
        return None;
    }
    let mut failed = deployment.clone();
    set_condition(
        failed.status.get_or_insert_default(),
        PROGRESSING,
        "False",
        SET_CREATE_ERROR,
        message,
        now,
    );
    (failed != *deployment).then_some(failed)
}

/// Sets a condition, unless status and reason are as before; the time of its transition changes
/// with its status only.
pub(super) fn set_condition(
    status: &mut DeploymentStatus,
    kind: &str,
    state: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    put_condition(status, condition(kind, state, reason, message, now));
}

fn put_condition(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(known) = find(status, condition.type_.as_deref().unwrap_or_default()) {
        if known.status == condition.status && known.reason == condition.reason {
            return;
        }
        if known.status == condition.status {
            condition.last_transition_time = known.last_transition_time.clone();
        }
    }
    remove_condition(status, condition.type_.as_deref().unwrap_or_default());
    status.conditions.get_or_insert_default().push(condition);
}

fn condition(
    kind: &str,
    state: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(state.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(seconds(now))),
        last_transition_time: Some(Time(seconds(now))),
    }
}

fn estimate_progress(draft: &Draft<'_>, status: &mut DeploymentStatus) {
    let deployment = &draft.deployment;
    let current = progress(deployment);
    let reason = current.and_then(|condition| condition.reason.as_deref());
    let alone = status.replicas.unwrap_or(0) == status.updated_replicas.unwrap_or(0);
    if alone && reason == Some(NEW_SET_AVAILABLE) {
        return;
    }
    let subject = match &draft.new {
        Some(set) => format!("ReplicaSet \"{}\"", set.name()),
        None => format!("Deployment \"{}\"", deployment.name()),
    };
    let now = draft.snapshot.now;
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        set_condition(status, PROGRESSING, "True", NEW_SET_AVAILABLE, message, now);
    } else if has_progressed(deployment, status) {
        let mut fresh = condition(
            PROGRESSING,
            "True",
            SET_UPDATED,
            format!("{subject} is progressing."),
            now,
        );
        // Progress renews the update time even if status and reason stay.
        if let Some(current) = current.filter(|current| current.status.as_deref() == Some("True")) {
            fresh.last_transition_time = current.last_transition_time.clone();
        }
        remove_condition(status, PROGRESSING);
        status.conditions.get_or_insert_default().push(fresh);
    } else if has_timed_out(deployment, status, now) {
        let message = format!("{subject} has timed out progressing.");
        set_condition(status, PROGRESSING, "False", TIMED_OUT, message, now);
    }
}

fn has_progressed(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let before = deployment.status.clone().unwrap_or_default();
    let count = |count: Option<i32>| count.unwrap_or(0);
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(status.updated_replicas) > count(before.updated_replicas)
        || old(status) < old(&before)
        || count(status.ready_replicas) > count(before.ready_replicas)
        || count(status.available_replicas) > count(before.available_replicas)
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let (Some(deadline), Some(condition)) = (deadline(deployment), find(status, PROGRESSING))
    else {
        return false;
    };
    match condition.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => condition
            .last_update_time
            .as_ref()
            .is_some_and(|updated| updated.0 + deadline < now),
    }
}

fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    (seconds != i32::MAX).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// A failure of the new set, or else of another.
fn replica_failure(draft: &Draft<'_>) -> Option<DeploymentCondition> {
    let failure = |set: &ReplicaSet| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        let condition = conditions
            .iter()
            .find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE))?;
        Some(DeploymentCondition {
            type_: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: condition.last_transition_time.clone(),
            last_update_time: condition.last_transition_time.clone(),
        })
    };
    draft
        .new
        .as_ref()
        .and_then(failure)
        .or_else(|| draft.all().find_map(failure))
}

/// Known only if all sets know theirs.
fn terminating(draft: &Draft<'_>) -> Option<i32> {
    let of = |set: &ReplicaSet| match &set.status {
        Some(status) => status.terminating_replicas,
        None => Some(0),
    };
    draft.all().map(of).sum()
}

fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_.as_deref() == Some(kind))
}

fn remove_condition(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_.as_deref() != Some(kind));
    }
    status.conditions = status
        .conditions
        .take()
        .filter(|conditions| !conditions.is_empty());
}

/// Zeros are not written, so that a status compares equal to what comes back.
fn positive(count: i32) -> Option<i32> {
    (count > 0).then_some(count)
}
