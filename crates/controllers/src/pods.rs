//! What controllers ask about pods. Follows pkg/api/v1/pod/util.go and
//! pkg/controller/controller_utils.go.

use crate::context::Context;
use informer::Informer;
use std::time::Duration;
use stdx::Timestamp;
use typed::Typed;
use typed::lean::{Pod, PodCondition};

/// The annotation that says how dear a pod is.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The cache of pods that all controllers share. It keeps of a pod what they read, which is a small
/// part of it.
pub(crate) fn informer(context: &Context) -> Informer<Pod> {
    context.factory.trimmed(|pod: &mut Pod| {
        let cost = pod.annotations().get(DELETION_COST).cloned();
        pod.metadata.annotations = cost.map(|cost| [(DELETION_COST.to_owned(), cost)].into());
    })
}

/// The pod's phase.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Whether the pod has run to its end.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod counts: it neither ended nor shall end.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !pod.is_deleting()
}

/// Whether the pod shall end and has not yet.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.is_deleting()
}

/// A condition of the pod.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// Whether the pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Since when the pod is ready, if it is.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|condition| condition.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// Whether the pod has been ready for long enough.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    is_ready(pod) && available_in(pod, min_ready_seconds, now).is_some_and(|left| left.is_zero())
}

/// How long until a ready pod is available; nothing if it is not ready.
pub(crate) fn available_in(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    if !is_ready(pod) {
        return None;
    }
    let seconds = u64::try_from(min_ready_seconds).unwrap_or(0);
    if seconds == 0 {
        return Some(Duration::ZERO);
    }
    let at = ready_since(pod)? + Duration::from_secs(seconds);
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The node that the pod is assigned to, empty if it is not.
pub(crate) fn node_name(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

/// Index values: the uid of the managing owner, or the namespace's orphans.
pub(crate) fn owner_values<T: Typed>(object: &T) -> Vec<String> {
    vec![match object.controller() {
        Some(owner) => owner.uid.clone(),
        None => orphans_of(object.namespace()),
    }]
}

/// The index value of a namespace's objects without a managing owner.
pub(crate) fn orphans_of(namespace: &str) -> String {
    format!("orphans of {namespace}")
}
