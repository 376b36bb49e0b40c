//! Brings pod statuses to the API server, and deletes pods that have ended
//! and were to be deleted.
//!
//! Workers say what is so; the manager writes the difference to what the
//! server last said, one pod at a time each, and tries again until it is true.
//! Follows pkg/kubelet/status/status_manager.go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Client, DeleteOptions, Patch};
use informer::{Action, BoxError, Metrics, Queue, Reconcile, Store, Workers};
use stdx::{Clock, Timestamp};
use typed::api::core::v1::{Pod, PodStatus};
use typed::{Time, Typed};

use super::report;

const WORKERS: usize = 8;
/// Until the next try when the API server does not answer.
const SILENCE: Duration = Duration::from_secs(2);

/// A handle to the statuses of all pods of this node. Clones are the same.
#[derive(Clone)]
pub struct StatusManager {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    pods: Store<Pod>,
    queue: Queue<String>,
    clock: Clock,
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    pod: Arc<Pod>,
    status: PodStatus,
    /// Nothing of the pod is left on the node.
    finished: bool,
    /// The pod as the server answered our last write.
    answered: Option<Arc<Pod>>,
}

impl StatusManager {
    /// A manager that compares with what the watch of pods says.
    pub fn new(client: Client, pods: Store<Pod>, clock: Clock, metrics: &Metrics) -> Self {
        let queue = Queue::new("pod_status", clock.clone(), metrics);
        Self {
            inner: Arc::new(Inner {
                client,
                pods,
                queue,
                clock,
                entries: Mutex::default(),
            }),
        }
    }

    /// Writes until it is dropped.
    pub async fn run(self) {
        let queue = self.inner.queue.clone();
        let inner: Arc<dyn Reconcile<String>> = self.inner;
        informer::run(queue, Workers::new(WORKERS), inner).await;
    }

    /// What was last said of a pod.
    pub fn get(&self, uid: &str) -> Option<PodStatus> {
        self.entries().get(uid).map(|entry| entry.status.clone())
    }

    /// What was last said of a pod, else what the server knows of it.
    pub fn last(&self, pod: &Pod) -> PodStatus {
        self.get(pod.uid())
            .unwrap_or_else(|| pod.status.clone().unwrap_or_default())
    }

    /// Says what is so. Returns the status as it will be written.
    pub fn set(&self, pod: &Arc<Pod>, status: PodStatus) -> PodStatus {
        self.put(pod, status, false)
    }

    /// Says the last that there is to say: nothing of the pod is left on the node.
    pub fn finish(&self, pod: &Arc<Pod>, status: PodStatus) {
        self.put(pod, status, true);
    }

    /// Forgets a pod that is gone.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Has a pod's status compared with the server's again.
    pub fn look_again(&self, uid: &str) {
        if self.entries().contains_key(uid) {
            self.inner.queue.add(uid.to_owned());
        }
    }

    fn put(&self, pod: &Arc<Pod>, mut status: PodStatus, finished: bool) -> PodStatus {
        let uid = pod.uid().to_owned();
        let mut entries = self.entries();
        let known = entries.get(&uid);
        if status.start_time.is_none() {
            let server = pod.status.as_ref();
            let before = known
                .and_then(|entry| entry.status.start_time.clone())
                .or_else(|| server.and_then(|status| status.start_time.clone()));
            status.start_time = Some(before.unwrap_or_else(|| Time(self.inner.now())));
        }
        let answered = known.and_then(|entry| entry.answered.clone());
        let finished = finished || known.is_some_and(|entry| entry.finished);
        let entry = Entry {
            pod: Arc::clone(pod),
            status: status.clone(),
            finished,
            answered,
        };
        entries.insert(uid.clone(), entry);
        drop(entries);
        self.inner.queue.add(uid);
        status
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.inner.entries()
    }
}

/// What has to be done for one pod.
struct Work {
    server: Arc<Pod>,
    status: PodStatus,
    finished: bool,
}

impl Inner {
    fn now(&self) -> Timestamp {
        whole_seconds(self.clock.wall())
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, uid: &str) -> Option<Work> {
        let entries = self.entries();
        let entry = entries.get(uid)?;
        let pod = &entry.pod;
        let watched = self.pods.get(pod.namespace(), pod.name());
        let watched = watched.filter(|watched| watched.uid() == uid);
        let server = newer(watched, entry.answered.clone()).unwrap_or_else(|| Arc::clone(pod));
        Some(Work {
            server,
            status: entry.status.clone(),
            finished: entry.finished,
        })
    }

    fn answered(&self, uid: &str, pod: Pod) -> Arc<Pod> {
        let pod = Arc::new(pod);
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.answered = Some(Arc::clone(&pod));
        }
        pod
    }

    async fn write(&self, uid: &str, work: Work) -> Result<Option<Arc<Pod>>, client::Error> {
        let empty = PodStatus::default();
        let known = work.server.status.as_ref().unwrap_or(&empty);
        let Some(patch) = report::patch(uid, known, &work.status) else {
            return Ok(Some(work.server));
        };
        let api = self.client.api::<Pod>().namespace(work.server.namespace());
        match api
            .patch_status(work.server.name(), &Patch::Strategic(patch))
            .await
        {
            Ok(pod) => Ok(Some(self.answered(uid, pod))),
            Err(error) if error.is_not_found() => Ok(None),
            // Another pod has taken the name.
            Err(error) if error.is_conflict() || error.is_invalid() => {
                let current = api.get(work.server.name()).await;
                match current {
                    Ok(pod) if pod.uid() == uid => {
                        self.answered(uid, pod);
                        Err(error)
                    }
                    Ok(_) => Ok(None),
                    Err(missing) if missing.is_not_found() => Ok(None),
                    Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn settle(&self, uid: &str, work: Work) -> Result<(), client::Error> {
        let finished = work.finished;
        if let Some(pod) = self.write(uid, work).await?
            && finished
            && pod.is_deleting()
        {
            self.delete(&pod).await?;
        }
        Ok(())
    }

    async fn delete(&self, pod: &Pod) -> Result<(), client::Error> {
        let options = DeleteOptions {
            uid: Some(pod.uid().to_owned()),
            grace_period_seconds: Some(0),
            ..DeleteOptions::default()
        };
        let api = self.client.api::<Pod>().namespace(pod.namespace());
        match api.delete(pod.name(), &options).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            other => other,
        }
    }
}

#[async_trait::async_trait]
impl Reconcile<String> for Inner {
    async fn reconcile(&self, uid: &String) -> Result<Action, BoxError> {
        let Some(work) = self.work(uid) else {
            return Ok(Action::Done);
        };
        match self.settle(uid, work).await {
            Ok(()) => Ok(Action::Done),
            // Nobody answers: that is no fault of this pod's, so its tries do not count.
            Err(client::Error::Transport { .. }) => Ok(Action::After(SILENCE)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The later state of two; both are of the same pod.
fn newer(one: Option<Arc<Pod>>, two: Option<Arc<Pod>>) -> Option<Arc<Pod>> {
    let revision = |pod: &Arc<Pod>| pod.resource_version().parse::<u64>().unwrap_or(0);
    one.into_iter().chain(two).max_by_key(revision)
}

/// Times in objects have whole seconds.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
