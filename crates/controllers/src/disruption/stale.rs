//! Pods that were marked to go and did not: two minutes later the mark is
//! taken back.

use crate::context::Context;
use crate::pods;
use client::{Api, Patch};
use informer::{Action, BoxError, Change, Informer, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use typed::Typed;
use typed::lean::Pod;

const TIMEOUT: Duration = Duration::from_secs(2 * 60);
const MARK: &str = "DisruptionTarget";

pub(super) fn start(context: &Context, pods: &Informer<Pod>) {
    let queue = context.queue();
    let (marked, clock) = (queue.clone(), context.clock.clone());
    pods.on_change(move |change: &Change<Pod>| {
        if let Some(pod) = &change.new
            && let Some(left) = left(pod, &clock)
        {
            marked.add_after(ObjectKey::of(&**pod), left);
        }
    });
    let unmark = Arc::new(Unmark {
        pods: pods.store(),
        api: context.client.api(),
        clock: context.clock.clone(),
    });
    let pods = pods.clone();
    let synced = async move { pods.synced().await };
    context.reconcile(queue, Workers::new(1), synced, unmark);
}

/// How long the mark of a pod that does not go may stay.
fn left(pod: &Pod, clock: &Clock) -> Option<Duration> {
    let mark = pods::condition(pod, MARK)?;
    let is_kubelets = mark.reason.as_deref() == Some("TerminationByKubelet");
    let stays = pod.is_deleting() || pods::is_terminal(pod) || is_kubelets;
    if stays || mark.status != "True" {
        return None;
    }
    let since = mark.last_transition_time.as_ref()?.0;
    let left = (since + TIMEOUT).duration_since(clock.wall());
    Some(Duration::try_from(left).unwrap_or_default())
}

struct Unmark {
    pods: Store<Pod>,
    api: Api<Pod>,
    clock: Clock,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Unmark {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(pod) = self.pods.by_key(key) else {
            return Ok(Action::Done);
        };
        match left(&pod, &self.clock) {
            None => return Ok(Action::Done),
            Some(left) if !left.is_zero() => return Ok(Action::After(left)),
            Some(_) => {}
        }
        let patch = json!({"metadata": {"uid": pod.uid()}, "status": {"conditions": [{
            "type": MARK, "status": "False", "reason": null, "message": null,
            "lastTransitionTime": stdx::format_seconds(self.clock.wall()),
        }]}});
        let api = self.api.namespace(pod.namespace());
        match api.patch_status(pod.name(), &Patch::Strategic(patch)).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(Action::Done),
            outcome => Ok(outcome.map(|_| Action::Done)?),
        }
    }
}
