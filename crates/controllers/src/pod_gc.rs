//! Pods that nobody will end any more: those of nodes that are gone, those that shall end and never
//! had a node, and the oldest of too many that have ended. Follows
//! pkg/controller/podgc/gc_controller.go.

use crate::context::Context;
use crate::rule::EVENTS;
use crate::taint_eviction::mark_disrupted;
use crate::{Controller, Rule, nodes, pods};
use client::{Api, DeleteOptions, Error};
use informer::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Instant};
use typed::Typed;
use typed::api::core::v1::Node;
use typed::lean::Pod;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "pod-garbage-collector-controller",
    identity: "pod-garbage-collector",
    rules: &[
        Rule::new(&[""], &["pods"], &["delete", "list", "watch"]),
        Rule::new(&[""], &["nodes"], &["get", "list"]),
        Rule::new(&[""], &["pods/status"], &["patch"]),
        EVENTS,
    ],
    start,
};

const PERIOD: Duration = Duration::from_secs(20);
/// For how long a node must be missing, as it may be that it has not been seen yet.
const QUARANTINE: Duration = Duration::from_secs(40);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

fn start(context: &Context) {
    let pods = pods::informer(context);
    let nodes = context.factory.informer::<Node>();
    let mut collector = Collector {
        pods: pods.store(),
        nodes: nodes.store(),
        pod_api: context.client.api(),
        node_api: context.client.api(),
        clock: context.clock.clone(),
        terminated_max: context.options.terminated_pod_gc_threshold,
        missing: BTreeMap::new(),
    };
    context.spawn("", async move {
        pods.synced().await;
        nodes.synced().await;
        loop {
            collector.pass().await;
            collector.clock.sleep(PERIOD).await;
        }
    });
}

struct Collector {
    pods: Store<Pod>,
    nodes: Store<Node>,
    pod_api: Api<Pod>,
    node_api: Api<Node>,
    clock: Clock,
    terminated_max: usize,
    /// Since when nodes that pods name have been missing.
    missing: BTreeMap<String, Instant>,
}

/// A pod to delete, and what to note on it.
struct Doomed {
    pod: Arc<Pod>,
    note: Option<(&'static str, &'static str)>,
}

impl Collector {
    async fn pass(&mut self) {
        let all = self.pods.list();
        let mut doomed = surplus(&all, self.terminated_max);
        doomed.extend(out_of_service(&all, &self.nodes));
        doomed.extend(self.orphans(&all).await);
        doomed.extend(unscheduled(&all));
        for doomed in doomed {
            let (name, namespace) = (
                doomed.pod.name().to_owned(),
                doomed.pod.namespace().to_owned(),
            );
            match self.delete(doomed).await {
                Ok(()) => tracing::info!(
                    name,
                    namespace,
                    "deleted a pod that nobody would have ended"
                ),
                Err(error) => {
                    tracing::warn!(name, namespace, %error, "pod not deleted, will try again")
                }
            }
        }
    }

    /// Pods of nodes that have been missing for long enough; the server is asked before that is
    /// believed.
    async fn orphans(&mut self, all: &[Arc<Pod>]) -> Vec<Doomed> {
        let now = self.clock.now();
        let is_missing = |name: &str| !name.is_empty() && self.nodes.get("", name).is_none();
        let names: Vec<&str> = all
            .iter()
            .map(|pod| pods::node_name(pod))
            .filter(|name| is_missing(name))
            .collect();
        self.missing
            .retain(|name, _| names.contains(&name.as_str()));
        for name in names {
            self.missing.entry(name.to_owned()).or_insert(now);
        }
        let quarantined = self
            .missing
            .iter()
            .filter(|(_, since)| now - **since >= QUARANTINE);
        let candidates: Vec<String> = quarantined.map(|(name, _)| name.clone()).collect();
        let mut gone = Vec::new();
        for name in candidates {
            match self.node_api.get(&name).await {
                Err(error) if error.is_not_found() => gone.push(name),
                Ok(_) => drop(self.missing.remove(&name)),
                Err(error) => {
                    tracing::warn!(node = name, %error, "cannot tell whether a node is gone")
                }
            }
        }
        let note = Some(("DeletionByPodGC", "PodGC: node no longer exists"));
        let of_gone = all
            .iter()
            .filter(|pod| gone.iter().any(|name| name == pods::node_name(pod)));
        of_gone
            .map(|pod| Doomed {
                pod: Arc::clone(pod),
                note,
            })
            .collect()
    }

    /// Deletes a pod at once. One that has not ended has failed: nobody else will say so.
    async fn delete(&self, doomed: Doomed) -> Result<(), Error> {
        let Doomed { pod, note } = doomed;
        let api = self.pod_api.namespace(pod.namespace());
        if !pods::is_terminal(&pod) {
            let (reason, message) =
                note.unwrap_or(("DeletionByPodGC", "PodGC: pod was never bound to a node"));
            mark_disrupted(&api, &pod, reason, message, Some("Failed"), &self.clock).await?;
        }
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            ..DeleteOptions::uid(pod.uid())
        };
        match api.delete(pod.name(), &options).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            outcome => outcome,
        }
    }
}

/// The oldest of too many pods that have ended.
fn surplus(all: &[Arc<Pod>], most: usize) -> Vec<Doomed> {
    let mut ended: Vec<_> = all
        .iter()
        .filter(|pod| pods::is_terminal(pod))
        .cloned()
        .collect();
    let count = if most == 0 {
        0
    } else {
        ended.len().saturating_sub(most)
    };
    let age = |pod: &Pod| (pod.created().map(|time| time.0), pod.name().to_owned());
    ended.sort_by_key(|pod| age(pod));
    ended
        .into_iter()
        .take(count)
        .map(|pod| Doomed { pod, note: None })
        .collect()
}

/// Pods that shall end on nodes of which somebody has said that they are out of service.
fn out_of_service(all: &[Arc<Pod>], store: &Store<Node>) -> Vec<Doomed> {
    let is_down = |pod: &&Arc<Pod>| {
        store.get("", pods::node_name(pod)).is_some_and(|node| {
            let ready = nodes::condition(&node, "Ready")
                .is_some_and(|condition| condition.status == "True");
            !ready
                && nodes::taints(&node)
                    .iter()
                    .any(|taint| taint.key == OUT_OF_SERVICE)
        })
    };
    let note = Some(("DeletionByPodGC", "PodGC: node is out of service"));
    let ending = all
        .iter()
        .filter(|pod| pods::is_terminating(pod))
        .filter(is_down);
    ending
        .map(|pod| Doomed {
            pod: Arc::clone(pod),
            note,
        })
        .collect()
}

/// Pods that shall end and never had a node.
fn unscheduled(all: &[Arc<Pod>]) -> Vec<Doomed> {
    let waiting = all
        .iter()
        .filter(|pod| pod.is_deleting() && pods::node_name(pod).is_empty());
    waiting
        .map(|pod| Doomed {
            pod: Arc::clone(pod),
            note: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::Cluster;
    use serde_json::json;

    fn names(cluster: &Cluster) -> Vec<String> {
        cluster
            .api
            .list("pods")
            .iter()
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn pods_without_anybody_go() {
        let options = Options {
            terminated_pod_gc_threshold: 2,
            ..Options::default()
        };
        let cluster = Cluster::start_with(&["pod-garbage-collector-controller"], options);
        cluster
            .api
            .create("nodes", json!({"metadata": {"name": "n"}}));
        let pod = |name: &str, node: &str, phase: &str| {
            cluster.api.create("pods", json!({"metadata": {"name": name, "namespace": "a"}, "spec": {"nodeName": node, "containers": []}}));
            cluster.api.edit("pods", "a", name, |pod| {
                pod["status"]["phase"] = json!(phase)
            });
        };
        pod("stays", "n", "Running");
        pod("orphan", "gone", "Running");
        for number in 0..4 {
            pod(&format!("ended{number}"), "n", "Succeeded");
        }
        pod("waits", "", "Pending");
        cluster.api.edit("pods", "a", "waits", |pod| {
            pod["metadata"]["finalizers"] = json!(["example.com/keep"]);
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        });
        cluster.settle().await;
        assert_eq!(
            names(&cluster),
            ["ended2", "ended3", "orphan", "stays", "waits"]
        );
        let waits = cluster.api.get("pods", "a", "waits").unwrap();
        assert_eq!(waits["status"]["phase"], "Failed");
        cluster.pass(60).await;
        // What failed for want of anybody to end it counts as ended too.
        assert_eq!(names(&cluster), ["ended3", "stays", "waits"]);
    }
}
