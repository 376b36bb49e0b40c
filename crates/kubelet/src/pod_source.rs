//! Directs the pod workers by what the API server and the runtime say.

use std::sync::Arc;
use std::time::Duration;

use container::status::SandboxFilter;
use tokio::sync::{broadcast, mpsc};
use typed::Typed;
use typed::api::core::v1::{Node, Pod};

use crate::admission::{NODE_AFFINITY, admit};
use crate::context::Context;
use crate::eviction;
use crate::pod::{is_terminal, phase};
use crate::security::forbidden_sysctl;
use crate::status::Failure;
use crate::worker::PodWorkers;

/// How long after the last change pods and workers are compared.
const RECOUNT: Duration = Duration::from_secs(30);

/// Has pods looked at when something happens to their containers.
pub async fn watch_runtime(
    cx: Arc<Context>,
    mut events: broadcast::Receiver<container::runtime::Event>,
) {
    loop {
        match events.recv().await {
            Ok(event) => cx.wakes.wake(&event.pod_uid),
            Err(broadcast::error::RecvError::Lagged(_)) => cx.wakes.wake_all(),
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// A pod before and after.
pub type PodChange = (Option<Arc<Pod>>, Option<Arc<Pod>>);

/// Directs the workers by what the API server says.
pub async fn follow(
    cx: Arc<Context>,
    workers: PodWorkers,
    mut changes: mpsc::UnboundedReceiver<PodChange>,
) {
    let mut first = Vec::new();
    while let Ok(change) = changes.try_recv() {
        first.push(change);
    }
    // The oldest go first, as they did when they came.
    first.sort_by_key(|(_, new)| {
        let created = new
            .as_ref()
            .and_then(|pod| pod.created().map(|time| time.0));
        (created, new.as_ref().map(|pod| pod.key()))
    });
    for (old, new) in first {
        apply(&cx, &workers, old, new).await;
    }
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some((old, new)) => apply(&cx, &workers, old, new).await,
                None => return,
            },
            () = cx.clock.sleep(RECOUNT) => {
                // Normally all are known: only a worker that broke is missing.
                for pod in cx.pods.list() {
                    if !workers.knows(pod.uid()) {
                        apply(&cx, &workers, None, Some(pod)).await;
                    }
                }
            }
        }
    }
}

async fn apply(
    cx: &Arc<Context>,
    workers: &PodWorkers,
    old: Option<Arc<Pod>>,
    new: Option<Arc<Pod>>,
) {
    if let Some(old) = old
        && new.as_ref().is_none_or(|new| new.uid() != old.uid())
    {
        workers.remove(&old);
    }
    let Some(pod) = new else { return };
    if workers.knows(pod.uid()) {
        workers.update(&pod);
        cx.status.look_again(pod.uid());
        return;
    }
    let rejection = rejection(cx, workers, &pod).await;
    if let Some(failure) = &rejection {
        cx.warn(&pod, &failure.reason, failure.message.clone());
    }
    workers.add(pod, rejection);
}

/// Whether the node does not take a pod, and why.
async fn rejection(cx: &Context, workers: &PodWorkers, pod: &Arc<Pod>) -> Option<Failure> {
    if is_terminal(phase(pod)) || pod.is_deleting() {
        return None;
    }
    let labels = [(crate::labels::POD_UID.to_owned(), pod.uid().to_owned())];
    let filter = SandboxFilter {
        labels: labels.into(),
        ..SandboxFilter::default()
    };
    let present = cx.runtime.list_sandboxes(&filter).await;
    if present.is_ok_and(|sandboxes| !sandboxes.is_empty()) {
        // It was taken before this kubelet started.
        return None;
    }
    if let Some(refusal) = eviction::refusal(pod, cx.pressure()) {
        return Some(refusal);
    }
    let decide = |node: &Node| {
        let sysctl = forbidden_sysctl(pod, &cx.config);
        admit(pod, &workers.active(), node, &cx.allocatable(), sysctl).err()
    };
    let rejection = decide(&*cx.node()?)?;
    if rejection.reason != NODE_AFFINITY {
        return Some(rejection);
    }
    // The scheduler may know a newer node than the watch has brought. Follows
    // pkg/kubelet/lifecycle/predicate.go, which asks again before it refuses.
    match cx.client.api::<Node>().get(&cx.config.node_name).await {
        Ok(node) => decide(&node),
        Err(error) => {
            let error = error.message();
            tracing::warn!(pod = pod.key(), error, "cannot look at the node again");
            Some(rejection)
        }
    }
}
