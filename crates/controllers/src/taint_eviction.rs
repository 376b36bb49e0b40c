//! Pods leave nodes with taints that they do not tolerate, or not for long. Follows
//! pkg/controller/tainteviction/taint_eviction.go.

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule, nodes, pods};
use client::events::{NORMAL, Recorder};
use client::{Api, DeleteOptions, Error, Patch};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stdx::{Clock, Instant};
use typed::Typed;
use typed::api::core::v1::Node;
use typed::lean::Pod;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "taint-eviction-controller",
    identity: "node-controller",
    rules: &[
        Rule::new(&[""], &["nodes"], &["get", "list"]),
        Rule::new(&[""], &["pods"], &["delete", "get", "list"]),
        Rule::new(&[""], &["pods/status"], &["patch", "update"]),
        EVENTS,
    ],
    start,
};

fn start(context: &Context) {
    let nodes = context.factory.informer::<Node>();
    let pods = pods::informer(context);
    let by_node = pods.index("node", nodes::node_values);
    let queue = context.queue();
    let changed = queue.clone();
    pods.on_change(move |change: &Change<Pod>| changed.add(ObjectKey::of(&**change.object())));
    let changed = queue.clone();
    nodes.on_change(move |change: &Change<Node>| {
        let taints =
            |node: &Option<Arc<Node>>| node.as_ref().map(|node| nodes::no_execute_taints(node));
        if taints(&change.old).unwrap_or_default() != taints(&change.new).unwrap_or_default() {
            by_node
                .get(change.object().name())
                .iter()
                .for_each(|pod| changed.add(ObjectKey::of(&**pod)));
        }
    });
    let controller = Arc::new(Evictions {
        nodes: nodes.store(),
        pods: pods.store(),
        api: context.client.api(),
        recorder: context.recorder("taint-eviction-controller"),
        clock: context.clock.clone(),
        pending: Mutex::default(),
    });
    let synced = async move {
        nodes.synced().await;
        pods.synced().await;
    };
    context.reconcile(queue, Workers::new(8), synced, controller);
}

struct Evictions {
    nodes: Store<Node>,
    pods: Store<Pod>,
    api: Api<Pod>,
    recorder: Recorder,
    clock: Clock,
    /// The pods that have to leave.
    pending: Mutex<BTreeMap<ObjectKey, Pending>>,
}

/// A pod that has to leave.
struct Pending {
    uid: String,
    since: Instant,
    /// It was deleted, and the cache has not shown it yet.
    deleted: bool,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Evictions {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(pod) = self.pods.by_key(key) else {
            self.pending().remove(key);
            return Ok(Action::Done);
        };
        if pod.is_deleting() || pods::is_terminal(&pod) {
            self.pending().remove(key);
            return Ok(Action::Done);
        }
        let node = self.nodes.get("", pods::node_name(&pod));
        let taints = node
            .map(|node| nodes::no_execute_taints(&node))
            .unwrap_or_default();
        let Some(tolerated) = nodes::tolerated_for(&pod, &taints) else {
            if self.pending().remove(key).is_some() {
                self.record(&pod, format!("Cancelling deletion of Pod {key}"));
            }
            return Ok(Action::Done);
        };
        let Some(since) = self.pending_since(key, &pod) else {
            return Ok(Action::Done);
        };
        let left = tolerated.saturating_sub(self.clock.since(since));
        if !left.is_zero() {
            return Ok(Action::After(left));
        }
        self.record(&pod, format!("Marking for deletion Pod {key}"));
        self.evict(&pod).await?;
        if let Some(pending) = self.pending().get_mut(key) {
            pending.deleted = true;
        }
        Ok(Action::Done)
    }
}

impl Evictions {
    /// Since when the pod has had to leave; nothing if it was deleted already.
    fn pending_since(&self, key: &ObjectKey, pod: &Pod) -> Option<Instant> {
        let new = || Pending {
            uid: pod.uid().to_owned(),
            since: self.clock.now(),
            deleted: false,
        };
        let mut pending = self.pending();
        let entry = pending.entry(key.clone()).or_insert_with(new);
        if entry.uid != pod.uid() {
            *entry = new();
        }
        (!entry.deleted).then_some(entry.since)
    }

    async fn evict(&self, pod: &Pod) -> Result<(), Error> {
        let api = self.api.namespace(pod.namespace());
        let outcome = mark_disrupted(
            &api,
            pod,
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            None,
            &self.clock,
        );
        outcome.await?;
        match api.delete(pod.name(), &DeleteOptions::uid(pod.uid())).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            outcome => outcome,
        }
    }

    fn record(&self, pod: &Pod, message: String) {
        self.recorder.event(
            &pod.object_reference(),
            NORMAL,
            "TaintManagerEviction",
            message,
        );
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes on a pod why it is taken away, so that its owner need not count that as its failure; and
/// its end, where nobody else will.
pub(crate) async fn mark_disrupted(
    api: &Api<Pod>,
    pod: &Pod,
    reason: &str,
    message: &str,
    phase: Option<&str>,
    clock: &Clock,
) -> Result<(), Error> {
    let mut status = json!({"conditions": [{
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": stdx::format_seconds(clock.wall()),
    }]});
    if let Some(phase) = phase {
        status["phase"] = json!(phase);
    }
    let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
    match api.patch_status(pod.name(), &Patch::Strategic(patch)).await {
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        outcome => outcome.map(drop),
    }
}
