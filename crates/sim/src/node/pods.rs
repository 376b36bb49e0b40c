//! The pods of a node: one worker a pod, which compares what is declared with
//! what runs, takes one step, and looks again when something changed or is due.

use super::Kubelet;
use super::container::Container;
use client::{DeleteOptions, ListOptions, Patch};
use informer::{Factory, ObjectKey, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::{Rng, latest};
use typed::Typed;
use typed::api::core::v1::Pod;

pub(super) fn start(kubelet: &Kubelet, factory: &Factory) {
    let own = ListOptions::fields(format!("spec.nodeName={}", kubelet.node.name));
    let pods = factory.selected::<Pod>(own);
    let news = Arc::new(latest::Sender::new(0_u64));
    let known: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (store, kubelet) = (pods.store(), kubelet.clone());
    let housekeeper = (kubelet.clone(), pods.clone());
    pods.on_change(move |change| {
        news.send_modify(|count| *count += 1);
        let Some(pod) = &change.new else { return };
        let (uid, key) = (pod.uid().to_owned(), ObjectKey::of(&**pod));
        let mut workers = known.lock().unwrap_or_else(PoisonError::into_inner);
        if !workers.insert(uid.clone()) {
            return;
        }
        let worker = Worker {
            kubelet: kubelet.clone(),
            store: store.clone(),
            key,
            uid: uid.clone(),
            news: news.subscribe(),
            rng: kubelet.rng.fork(),
        };
        let known = Arc::clone(&known);
        kubelet.spawn("pod", async move {
            worker.run().await;
            known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&uid);
        });
    });
    let (kubelet, pods) = housekeeper;
    kubelet.clone().spawn("housekeeping", async move {
        pods.synced().await;
        loop {
            end_orphans(&kubelet, &pods.store());
            kubelet.clock().sleep(Duration::from_secs(2)).await;
        }
    });
}

/// Ends containers whose pods are not here any more.
fn end_orphans(kubelet: &Kubelet, store: &Store<Pod>) {
    let pods: BTreeSet<String> = store
        .list()
        .iter()
        .map(|pod| pod.uid().to_owned())
        .collect();
    for uid in kubelet.node.running() {
        if !pods.contains(&uid) {
            kubelet.node.containers().end(&uid);
        }
    }
}

struct Worker {
    kubelet: Kubelet,
    store: Store<Pod>,
    key: ObjectKey,
    uid: String,
    news: latest::Receiver<u64>,
    rng: Rng,
}

impl Worker {
    /// Works until the pod is gone.
    async fn run(mut self) {
        let delay = Duration::from_millis(self.rng.below(3000));
        self.kubelet.clock().sleep(delay).await;
        loop {
            self.news.see();
            let pod = self.store.by_key(&self.key);
            let Some(pod) = pod.filter(|pod| pod.uid() == self.uid) else {
                self.kubelet.node.containers().end(&self.uid);
                return;
            };
            let wait = if pod.is_deleting() {
                self.finish(&pod).await
            } else {
                self.run_pod(&pod).await
            };
            let clock = self.kubelet.clock().clone();
            // In time or not, the worker looks again, unless the kubelet is no more.
            if let Ok(Err(latest::Gone)) = clock.timeout(wait, self.news.changed()).await {
                return;
            }
        }
    }

    /// Ends a pod that shall go; says when to look again.
    async fn finish(&self, pod: &Pod) -> Duration {
        let runs = self.kubelet.node.containers().get(&self.uid).is_some();
        if runs {
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
            let millis = u64::try_from(grace).unwrap_or(0) * 1000;
            let delay = self.rng.below(millis.min(8000) + 1);
            self.kubelet
                .clock()
                .sleep(Duration::from_millis(delay))
                .await;
            self.kubelet.node.containers().end(&self.uid);
        }
        let now = DeleteOptions {
            grace_period_seconds: Some(0),
            ..DeleteOptions::uid(&self.uid)
        };
        let pods = self.kubelet.client.api::<Pod>().namespace(pod.namespace());
        match pods.delete(pod.name(), &now).await {
            Ok(()) => Duration::from_secs(5),
            Err(error) if error.is_not_found() || error.is_conflict() => Duration::from_secs(5),
            Err(_) => Duration::from_secs(1),
        }
    }

    /// Runs a pod's container and says how it is; says when to look again.
    async fn run_pod(&self, pod: &Pod) -> Duration {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Failed" | "Succeeded")) {
            self.kubelet.node.containers().end(&self.uid);
            return Duration::from_secs(60);
        }
        let Some(container) = self.container(pod) else {
            return self.refuse(pod).await;
        };
        let now = self.kubelet.clock().now();
        if container.crash_at.is_some_and(|at| at <= now) {
            let rng = &self.rng;
            self.kubelet.node.containers().crash(&self.uid, now, rng);
            return Duration::ZERO;
        }
        let ready = container.ready_at <= now;
        let (status, is_news) = self.status(pod, &container, ready);
        let due = [Some(container.ready_at), container.crash_at];
        let due = due.into_iter().flatten().filter(|at| *at > now);
        let wait = due
            .map(|at| at - now)
            .min()
            .unwrap_or(Duration::from_secs(60));
        if !is_news {
            return wait;
        }
        let pods = self.kubelet.client.api::<Pod>().namespace(pod.namespace());
        match pods
            .patch_status(pod.name(), &Patch::Strategic(status))
            .await
        {
            // The cache tells when this is known.
            Ok(_) => wait.min(Duration::from_secs(2)),
            Err(_) => Duration::from_secs(1),
        }
    }

    /// The pod's container, started if there is room for it.
    fn container(&self, pod: &Pod) -> Option<Container> {
        let node = &self.kubelet.node;
        let mut containers = node.containers();
        if containers.get(&self.uid).is_none() {
            let milli_cpu = milli_cpu(pod);
            if containers.milli_cpu() + milli_cpu > super::MILLI_CPU {
                return None;
            }
            let clock = self.kubelet.clock();
            let now = (clock.now(), clock.wall());
            let crashes = node.inner.world.scenario.crashing_containers;
            containers.run(
                &self.uid,
                node.inner.number,
                milli_cpu,
                now,
                crashes,
                &self.rng,
            );
        }
        containers.get(&self.uid).cloned()
    }

    /// There is no room, although the scheduler thought so. Follows
    /// pkg/kubelet/lifecycle/predicate.go.
    async fn refuse(&self, pod: &Pod) -> Duration {
        let status = json!({"metadata": {"uid": self.uid}, "status": {"phase": "Failed", "reason": "OutOfcpu",
            "message": "Pod was rejected: Node didn't have enough resource: cpu"}});
        let pods = self.kubelet.client.api::<Pod>().namespace(pod.namespace());
        // Failure or not, the cache tells.
        let _ = pods
            .patch_status(pod.name(), &Patch::Strategic(status))
            .await;
        Duration::from_secs(2)
    }

    /// What to say of the pod, and whether that is news.
    fn status(&self, pod: &Pod, container: &Container, ready: bool) -> (Value, bool) {
        let known = pod.status.clone().unwrap_or_default();
        let said = if ready { "True" } else { "False" };
        let conditions = known.conditions.clone().unwrap_or_default();
        let condition = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready");
        let is_ready_known = condition.is_some_and(|condition| condition.status == said);
        let statuses = known.container_statuses.clone().unwrap_or_default();
        let restarts = statuses.first().map(|status| status.restart_count);
        let is_known = is_ready_known
            && known.phase.as_deref() == Some("Running")
            && known.pod_ip.as_deref() == Some(&container.ip)
            && restarts == i32::try_from(container.restarts).ok();
        let now = stdx::format_seconds(self.kubelet.clock().wall());
        let changed = condition
            .filter(|_| is_ready_known)
            .and_then(|condition| condition.last_transition_time.as_ref())
            .map_or(now, |time| stdx::format_seconds(time.0));
        let host = format!("10.0.0.{}", self.kubelet.node.inner.number + 1);
        let mut addresses = json!([{"ip": container.ip}]);
        // Of an old list only what is replaced goes; of no list nothing can.
        if known.pod_ip.is_some_and(|ip| ip != container.ip) {
            addresses = json!([{"$patch": "replace"}, {"ip": container.ip}]);
        }
        let status = json!({"metadata": {"uid": self.uid}, "status": {
            "phase": "Running", "podIP": container.ip,
            "podIPs": addresses, "hostIP": host, "hostIPs": [{"ip": host}],
            "startTime": stdx::format_seconds(container.started),
            "conditions": [
                {"type": "Ready", "status": said, "lastTransitionTime": changed},
                {"type": "ContainersReady", "status": said, "lastTransitionTime": changed}
            ],
            "containerStatuses": [{"name": "c", "image": "i", "imageID": "i", "ready": ready, "started": true,
                "restartCount": container.restarts,
                "state": {"running": {"startedAt": stdx::format_seconds(container.started)}}}]
        }});
        (status, !is_known)
    }
}

/// What a pod asks of a node, in thousandths of a core.
fn milli_cpu(pod: &Pod) -> i64 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let asked = containers.filter_map(|container| {
        let requests = container.resources.as_ref()?.requests.as_ref()?;
        requests
            .get("cpu")?
            .0
            .strip_suffix('m')?
            .parse::<i64>()
            .ok()
    });
    asked.sum()
}
