//! One worker per pod.
//!
//! The watch of pods says which pods shall be here; each has a task of its own,
//! from its first sight until nothing of it is left. Follows
//! pkg/kubelet/pod_workers.go.

mod backoff;
mod credentials;
mod execute;
mod images;
mod kill;
mod messages;
mod mount;
mod run;
mod start;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stdx::{CancellationToken, Importance};
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::context::Context;
use crate::metrics;
use crate::pod::{is_terminal, phase};
use crate::status::Failure;
use run::PodWorker;

/// What shall become of a pod.
#[derive(Clone)]
pub struct Desired {
    /// The newest definition.
    pub pod: Arc<Pod>,
    /// The API server does not know it any more.
    pub gone: bool,
    /// The node ends the pod, for this reason.
    pub verdict: Option<Failure>,
    /// The verdict is no fault of the pod's.
    pub disrupted: bool,
    /// The node never took the pod: nothing of it was ever here.
    pub rejected: bool,
    /// The longest grace that whoever ends the pod allows, in seconds.
    pub grace_max: Option<i64>,
}

impl Desired {
    fn is_ending(&self) -> bool {
        self.gone
            || self.verdict.is_some()
            || self.pod.is_deleting()
            || is_terminal(phase(&self.pod))
    }

    /// Seconds instead of the pod's own.
    fn grace(&self) -> Option<i64> {
        let deletion = self.pod.metadata.deletion_grace_period_seconds;
        let forced = self.gone.then(|| deletion.unwrap_or(0)).filter(|_| {
            // Taken away without having been deleted gracefully: forced.
            self.grace_max.is_none()
        });
        [deletion, self.grace_max, forced]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What a worker and those who direct it share.
pub struct Shared {
    desired: Mutex<Desired>,
    ending: CancellationToken,
    over: AtomicBool,
}

impl Shared {
    fn desired(&self) -> Desired {
        self.lock().clone()
    }

    /// Whether all has ended, and its last status was said.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn set_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node ends the pod. The first reason stays.
    fn end_with(&self, failure: Failure) {
        self.lock().verdict.get_or_insert(failure);
        self.ending.cancel();
    }

    fn change(&self, change: impl FnOnce(&mut Desired)) {
        let mut desired = self.lock();
        change(&mut desired);
        if desired.is_ending() {
            self.ending.cancel();
        }
    }
}

/// All pod workers of a node. Clones are the same.
#[derive(Clone)]
pub struct PodWorkers {
    cx: Arc<Context>,
    workers: Arc<Mutex<HashMap<String, Arc<Shared>>>>,
}

impl PodWorkers {
    /// None yet.
    pub fn new(cx: Arc<Context>) -> Self {
        Self {
            cx,
            workers: Arc::default(),
        }
    }

    /// Whether the pod has a worker.
    pub fn knows(&self, uid: &str) -> bool {
        self.workers().contains_key(uid)
    }

    /// The uids of all pods that have a worker.
    pub fn uids(&self) -> Vec<String> {
        self.workers().keys().cloned().collect()
    }

    /// Pods that the node has taken and that take room.
    pub fn active(&self) -> Vec<Arc<Pod>> {
        let workers = self.workers();
        let active = workers.values().filter_map(|shared| {
            let desired = shared.desired();
            let ended = desired.verdict.is_some() || is_terminal(phase(&desired.pod));
            (!ended && !desired.gone).then_some(desired.pod)
        });
        active.collect()
    }

    /// The uids of pods that are over: nothing of them runs, and nothing will.
    pub fn over(&self) -> Vec<String> {
        let workers = self.workers();
        let over = workers.iter().filter(|(_, shared)| shared.is_over());
        over.map(|(uid, _)| uid.clone()).collect()
    }

    /// The newest definition of a pod, wherever it stands.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let workers = self.workers();
        let mut pods = workers.values().map(|shared| shared.desired().pod);
        pods.find(|pod| pod.namespace() == namespace && pod.name() == name)
    }

    /// Starts a worker for a new pod. A rejected pod is only ended.
    pub fn add(&self, pod: Arc<Pod>, rejection: Option<Failure>) {
        self.start(Desired {
            pod,
            gone: false,
            rejected: rejection.is_some(),
            verdict: rejection,
            disrupted: false,
            grace_max: None,
        });
    }

    /// Ends what is left of a pod that nobody knows any more.
    pub fn add_orphan(&self, pod: Arc<Pod>, grace: Option<i64>) {
        self.start(Desired {
            pod,
            gone: true,
            rejected: false,
            verdict: None,
            disrupted: false,
            grace_max: grace,
        });
    }

    /// The node ends the pod, and gives it no longer than `grace` seconds. A
    /// disruption is told as a condition of the pod.
    pub fn evict(&self, uid: &str, failure: Failure, grace: i64, is_disruption: bool) {
        self.change(uid, |desired| {
            if desired.verdict.is_none() {
                desired.verdict = Some(failure);
                desired.disrupted = is_disruption;
            }
            let grace = desired.grace_max.map_or(grace, |known| known.min(grace));
            desired.grace_max = Some(grace);
        });
    }

    /// The pod's definition or status changed.
    pub fn update(&self, pod: &Arc<Pod>) {
        self.change(pod.uid(), |desired| desired.pod = Arc::clone(pod));
    }

    /// The API server does not know the pod any more.
    pub fn remove(&self, pod: &Arc<Pod>) {
        self.change(pod.uid(), |desired| {
            desired.gone = true;
            let shorter = |pod: &Pod| pod.metadata.deletion_grace_period_seconds;
            if shorter(pod).is_some() {
                desired.pod = Arc::clone(pod);
            }
        });
    }

    fn change(&self, uid: &str, change: impl FnOnce(&mut Desired)) {
        let shared = self.workers().get(uid).cloned();
        if let Some(shared) = shared {
            shared.change(change);
            self.cx.wakes.wake(uid);
        }
    }

    fn start(&self, desired: Desired) {
        let uid = desired.pod.uid().to_owned();
        let name = format!("pod {}", desired.pod.key());
        let shared = Arc::new(Shared {
            desired: Mutex::new(desired),
            ending: CancellationToken::new(),
            over: AtomicBool::new(false),
        });
        if self
            .workers()
            .insert(uid.clone(), Arc::clone(&shared))
            .is_some()
        {
            tracing::error!(uid, "a second worker for a pod");
        }
        let worker = PodWorker::new(Arc::clone(&self.cx), uid.clone(), shared);
        let all = self.clone();
        all.gauge();
        self.cx
            .supervisor
            .spawn(name, Importance::Ordinary, async move {
                let _end = End { all, uid };
                worker.run().await;
            });
    }

    fn gauge(&self) {
        let count = self.workers().len();
        self.cx
            .metrics
            .set(metrics::RUNNING_PODS, String::new(), count as f64);
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<String, Arc<Shared>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a worker off the list, however it ends: a pod whose worker broke is
/// found by housekeeping and gets another.
struct End {
    all: PodWorkers,
    uid: String,
}

impl Drop for End {
    fn drop(&mut self) {
        self.all.workers().remove(&self.uid);
        self.all.cx.wakes.unregister(&self.uid);
        self.all.gauge();
    }
}
