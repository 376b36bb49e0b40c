//! The status that a budget should have.

use crate::pods;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;
use typed::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use typed::lean::Pod;
use typed::meta::Condition;
use typed::{IntOrString, Time, Typed};

/// For how long a pod that was let go is taken to be going.
const DELETION: Duration = Duration::from_secs(2 * 60);
const ALLOWED: &str = "DisruptionAllowed";

/// When pods were let go, by name.
pub(super) type Disrupted = BTreeMap<String, Time>;

/// Whether the budget speaks of a share of what should be there.
pub(super) fn needs_scale(budget: &PodDisruptionBudget) -> bool {
    let Some(spec) = &budget.spec else {
        return false;
    };
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// The pods that were let go and are still there: those that are to be waited
/// for, those that should be gone by now, and when to look again.
pub(super) fn disrupted(
    budget: &PodDisruptionBudget,
    covered: &[Arc<Pod>],
    now: Timestamp,
) -> (Disrupted, Vec<Arc<Pod>>, Option<Duration>) {
    let known = budget.status.as_ref();
    let known = known.and_then(|status| status.disrupted_pods.as_ref());
    let (mut waiting, mut overdue, mut again) = (Disrupted::new(), Vec::new(), None);
    for pod in covered.iter().filter(|pod| !pod.is_deleting()) {
        let Some(at) = known.and_then(|known| known.get(pod.name())) else {
            continue;
        };
        match Duration::try_from((at.0 + DELETION).duration_since(now)) {
            Ok(left) if !left.is_zero() => {
                again = Some(again.map_or(left, |again: Duration| again.min(left)));
                waiting.insert(pod.name().to_owned(), at.clone());
            }
            Ok(_) | Err(_) => overdue.push(Arc::clone(pod)),
        }
    }
    (waiting, overdue, again)
}

/// The budget to write, if it is not what it should be.
pub(super) fn plan(
    budget: &PodDisruptionBudget,
    covered: &[Arc<Pod>],
    expected: i32,
    disrupted: Disrupted,
    now: Timestamp,
) -> Result<Option<PodDisruptionBudget>, String> {
    let is_healthy = |pod: &&Arc<Pod>| {
        !pod.is_deleting() && !disrupted.contains_key(pod.name()) && pods::is_ready(pod)
    };
    let healthy = covered.iter().filter(is_healthy).count();
    let healthy = i32::try_from(healthy).unwrap_or(i32::MAX);
    let desired = desired(budget, expected)?;
    let allowed = match healthy.saturating_sub(desired) {
        left if left > 0 && expected > 0 => left,
        _ => 0,
    };
    let before = budget.status.clone().unwrap_or_default();
    let generation = budget.metadata.generation;
    let mut status = PodDisruptionBudgetStatus {
        conditions: before.conditions.clone(),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: generation,
    };
    let (state, reason) = match allowed > 0 {
        true => ("True", "SufficientPods"),
        false => ("False", "InsufficientPods"),
    };
    set_condition(&mut status, state, reason, "", now);
    Ok(changed(budget, before, status))
}

/// When nothing can be said, nothing may go.
pub(super) fn failed(
    budget: &PodDisruptionBudget,
    why: &str,
    now: Timestamp,
) -> Option<PodDisruptionBudget> {
    let before = budget.status.clone().unwrap_or_default();
    let mut status = before.clone();
    status.disruptions_allowed = Some(0);
    set_condition(&mut status, "False", "SyncFailed", why, now);
    changed(budget, before, status)
}

fn changed(
    budget: &PodDisruptionBudget,
    before: PodDisruptionBudgetStatus,
    status: PodDisruptionBudgetStatus,
) -> Option<PodDisruptionBudget> {
    (status != before).then(|| PodDisruptionBudget {
        status: Some(status),
        ..budget.clone()
    })
}

/// How many pods must be well.
fn desired(budget: &PodDisruptionBudget, expected: i32) -> Result<i32, String> {
    let Some(spec) = &budget.spec else {
        return Ok(0);
    };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => Ok((expected - scaled(most, expected)?).max(0)),
        (None, Some(least)) => scaled(least, expected),
        (None, None) => Ok(0),
    }
}

/// A number, or a share of another, rounded up.
fn scaled(bound: &IntOrString, of: i32) -> Result<i32, String> {
    match bound {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(text) => {
            let percent = text
                .strip_suffix('%')
                .and_then(|digits| digits.parse::<i64>().ok());
            let Some(percent) = percent else {
                return Err(format!(
                    "invalid value for IntOrString: invalid type: string is not a percentage: {text}"
                ));
            };
            let share = (i64::from(of) * percent + 99).div_euclid(100);
            Ok(i32::try_from(share).unwrap_or(i32::MAX))
        }
    }
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    state: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let observed = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter_mut().find(|c| c.type_ == ALLOWED);
    let Some(condition) = known else {
        conditions.push(Condition {
            last_transition_time: Time(now),
            message: message.to_owned(),
            observed_generation: observed,
            reason: reason.to_owned(),
            status: state.to_owned(),
            type_: ALLOWED.to_owned(),
        });
        return;
    };
    if condition.status != state {
        condition.last_transition_time = Time(now);
    }
    condition.status = state.to_owned();
    condition.reason = reason.to_owned();
    condition.message = message.to_owned();
    condition.observed_generation = observed;
}
