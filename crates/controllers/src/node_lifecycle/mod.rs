//! Nodes that fall silent: their conditions become unknown, their pods not ready, and taints keep
//! pods away from them and drive pods from them.
//!
//! Follows pkg/controller/nodelifecycle/node_lifecycle_controller.go.

mod health;
mod taints;
#[cfg(test)]
mod tests;
mod zones;

use crate::context::{Context, enqueue_changed};
use crate::rule::EVENTS;
use crate::{Controller, Rule, nodes, pods};
use client::events::{NORMAL, Recorder, WARNING};
use client::{Api, Error, Patch};
use health::Healths;
use informer::{Action, BoxError, Change, Index, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::Clock;
use typed::Typed;
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{Node, Taint};
use typed::lean::Pod;
use zones::Zones;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "node-lifecycle-controller",
    identity: "node-controller",
    rules: &[
        Rule::new(
            &[""],
            &["nodes"],
            &["delete", "get", "list", "patch", "update"],
        ),
        Rule::new(&[""], &["nodes/status"], &["patch", "update"]),
        Rule::new(&[""], &["pods/status"], &["patch", "update"]),
        Rule::new(&[""], &["pods"], &["delete", "get", "list"]),
        EVENTS,
    ],
    start,
};

/// How often nodes are looked at.
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// Where kubelets keep their leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";

fn start(context: &Context) {
    let nodes = context.factory.informer::<Node>();
    let leases = context.factory.informer::<Lease>();
    let pods = pods::informer(context);
    let queue = context.queue();
    enqueue_changed(&nodes, &queue);
    let recorder = context.recorder("node-controller");
    tell_of_nodes(&nodes, &recorder);
    let controller = Arc::new(Lifecycle {
        nodes: nodes.store(),
        leases: leases.store(),
        pods: pods.index("node", nodes::node_values),
        api: context.client.api(),
        pod_api: context.client.api(),
        recorder,
        clock: context.clock.clone(),
        healths: Mutex::default(),
        zones: Mutex::default(),
    });
    let monitor = Arc::clone(&controller);
    let (synced_nodes, synced_pods) = (nodes.clone(), pods.clone());
    context.spawn("monitor", async move {
        synced_nodes.synced().await;
        leases.synced().await;
        synced_pods.synced().await;
        monitor.run().await;
    });
    let synced = async move { nodes.synced().await };
    context.reconcile(queue, Workers::new(8), synced, controller);
}

fn tell_of_nodes(nodes: &informer::Informer<Node>, recorder: &Recorder) {
    let recorder = recorder.clone();
    nodes.on_change(move |change: &Change<Node>| {
        let (reason, what, to) = match (&change.old, &change.new) {
            (None, Some(_)) => ("RegisteredNode", "Registered", "in"),
            (Some(_), None) => ("RemovingNode", "Removing", "from"),
            _ => return,
        };
        let (node, name) = (change.object(), change.object().name());
        let message = format!("Node {name} event: {what} Node {name} {to} Controller");
        recorder.event(&node.object_reference(), NORMAL, reason, message);
    });
}

struct Lifecycle {
    nodes: Store<Node>,
    leases: Store<Lease>,
    pods: Index<Pod>,
    api: Api<Node>,
    pod_api: Api<Pod>,
    recorder: Recorder,
    clock: Clock,
    healths: Mutex<Healths>,
    zones: Mutex<Zones>,
}

/// Taints that keep pods away follow a node's conditions whenever they change.
#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Lifecycle {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(node) = self.nodes.by_key(key) else {
            return Ok(Action::Done);
        };
        if let Some(taints) = taints::no_schedule(&node) {
            self.write_taints(&node, &taints).await?;
        }
        Ok(Action::Done)
    }
}

impl Lifecycle {
    async fn run(&self) {
        loop {
            self.look_at_all().await;
            self.clock.sleep(MONITOR_PERIOD).await;
        }
    }

    async fn look_at_all(&self) {
        let mut nodes = self.nodes.list();
        lock(&self.healths).retain(|name| nodes.iter().any(|node| node.name() == name));
        for node in &mut nodes {
            match self.look_at(node).await {
                Ok(Some(fresh)) => *node = Arc::new(fresh),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(node = node.name(), %error, "node's health not written, will try again")
                }
            }
        }
        let now = self.clock.now();
        let pass = lock(&self.zones).pass(&nodes, now);
        for node in nodes {
            let may_taint = pass.may_taint(node.name());
            let Some(taints) = taints::no_execute(&node, pass.evicts, may_taint, self.clock.wall())
            else {
                continue;
            };
            let drives_away = |taint: &Taint| {
                taint.effect == "NoExecute" && !nodes::taints(&node).contains(taint)
            };
            let is_new = taints.iter().any(drives_away);
            match self.write_taints(&node, &taints).await {
                Ok(()) if is_new => lock(&self.zones).tainted(&node, now),
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(node = node.name(), %error, "taints not written, will try again")
                }
            }
        }
    }

    /// Judges a node's health. Returns the node if its conditions were changed.
    async fn look_at(&self, node: &Node) -> Result<Option<Node>, Error> {
        let lease = self.leases.get(LEASE_NAMESPACE, node.name());
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
        let judged = lock(&self.healths).judge(
            node,
            renewed.map(|time| time.0),
            self.clock.now(),
            self.clock.wall(),
        );
        let Some(unknown) = judged else {
            return self.mark_pods(node, false).await.map(|()| None);
        };
        let was_ready = health::is_ready(node);
        let fresh = self.api.replace_status(&unknown).await?;
        if was_ready {
            let message = format!("Node {} status is now: NodeNotReady", node.name());
            self.recorder
                .event(&node.object_reference(), NORMAL, "NodeNotReady", message);
        }
        self.mark_pods(&fresh, was_ready).await?;
        Ok(Some(fresh))
    }

    /// The pods of a silent node are not known to be ready. A pod that could not be marked is
    /// marked later.
    async fn mark_pods(&self, node: &Node, fell_silent: bool) -> Result<(), Error> {
        if !fell_silent && !lock(&self.healths).owes_marks(node.name()) {
            return Ok(());
        }
        let mut failure = None;
        for pod in self.pods.get(node.name()) {
            if pods::is_ready(&pod) && !pods::is_terminal(&pod) {
                failure = self.mark_pod(&pod).await.err().or(failure);
            }
        }
        lock(&self.healths).note_marks(node.name(), failure.is_some());
        failure.map_or(Ok(()), Err)
    }

    async fn mark_pod(&self, pod: &Pod) -> Result<(), Error> {
        let now = stdx::format_seconds(self.clock.wall());
        let patch = Patch::Strategic(json!({
            "metadata": {"uid": pod.uid()},
            "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}]},
        }));
        self.recorder.event(
            &pod.object_reference(),
            WARNING,
            "NodeNotReady",
            "Node is not ready",
        );
        match self
            .pod_api
            .namespace(pod.namespace())
            .patch_status(pod.name(), &patch)
            .await
        {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// The resource version makes sure that no taint of somebody else's is lost.
    async fn write_taints(&self, node: &Node, taints: &[Taint]) -> Result<(), Error> {
        let taints: Vec<_> = taints.iter().map(taints::to_json).collect();
        let patch = json!({"metadata": {"resourceVersion": node.resource_version()}, "spec": {"taints": taints}});
        match self.api.patch(node.name(), &Patch::Merge(patch)).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
