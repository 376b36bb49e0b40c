//! The scheduler's hands: watches feed the core, its decisions go to the API
//! server.
//!
//! Watch handlers tell the core at once, under its lock, and wake the loop. The
//! loop asks for decisions; binders carry bindings out, many at a time, while
//! the loop goes on with the next pod; reporters write conditions and events,
//! those of one pod in order. What is under way is bounded everywhere: a slow
//! server slows the loop down.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::events::{NORMAL, SeriesEvent, SeriesRecorder, WARNING};
use client::{Client, Patch};
use informer::{Cached, Change, Factory, Informer, Store};
use rustc_hash::FxHasher;
use serde_json::json;
use stdx::{Clock, Importance, Rng, Supervisor};
use tokio::sync::{Notify, mpsc};
use typed::Typed;
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1::{
    Namespace, Node, ObjectReference, Pod, PodCondition, ReplicationController, Service,
};

use crate::config::{Config, ConfigError};
use crate::explain::Explanation;
use crate::pod::{PodError, PodInfo};
use crate::queue::Pending;
use crate::scheduler::{Attempts, Decision, Scheduler};

/// Bindings under way at once. The store commits many writers together, so
/// many in flight cost no more than one.
const BINDERS: usize = 64;
const BINDINGS_QUEUED: usize = 256;
const REPORTERS: usize = 8;
const REPORTS_QUEUED: usize = 256;
/// Decisions between two chances for other tasks.
const DECISIONS_PER_TURN: usize = 16;

const UNSCHEDULABLE: &str = "Unschedulable";
const SCHEDULING_GATED: &str = "SchedulingGated";
const SCHEDULER_ERROR: &str = "SchedulerError";
/// What upstream's API server says of a gated pod.
const GATED_MESSAGE: &str = "Scheduling is blocked due to non-empty scheduling gates";

/// What the scheduler runs on.
pub struct Runner {
    /// Writes bindings, conditions and events, as `system:kube-scheduler`.
    pub client: Client,
    /// The caches to follow; share it with other loops of the process.
    pub factory: Factory,
    /// The clock.
    pub clock: Clock,
    /// Decides between nodes that are equally good.
    pub rng: Rng,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
    /// The profile.
    pub config: Config,
}

/// A running scheduler, to be asked how it fares.
#[derive(Clone)]
pub struct Handle {
    core: Arc<Core>,
    profile: Arc<str>,
}

struct Core {
    scheduler: Mutex<Scheduler>,
    wake: Notify,
}

struct Caches {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    replica_sets: Informer<ReplicaSet>,
    controllers: Informer<ReplicationController>,
}

struct Binding {
    pod: Arc<PodInfo>,
    node: Arc<str>,
}

/// Something that users shall read of a pod.
struct Report {
    pod: Arc<PodInfo>,
    reason: &'static str,
    message: String,
    /// Whether it is worth an event.
    event: bool,
}

impl Runner {
    /// Starts the scheduler's tasks. Nothing is decided before all caches hold
    /// what the server has.
    pub fn start(self) -> Result<Handle, ConfigError> {
        let scheduler = Scheduler::new(&self.config, self.clock.clone(), self.rng.fork())?;
        let core = Arc::new(Core {
            scheduler: Mutex::new(scheduler),
            wake: Notify::new(),
        });
        let caches = Caches::of(&self.factory);
        caches.feed(&core);
        let recorder = self.recorder();
        let reports = self.reporters(&recorder, &caches.pods.store());
        let bindings = self.binders(&core, &recorder, &reports);
        let main = run(
            Arc::clone(&core),
            caches,
            self.clock.clone(),
            bindings,
            reports,
        );
        self.supervisor
            .spawn("scheduler", Importance::Essential, main);
        let profile = self.config.scheduler_name.into();
        Ok(Handle { core, profile })
    }

    fn recorder(&self) -> SeriesRecorder {
        let (recorder, writer) = SeriesRecorder::new(
            self.client.clone(),
            &self.config.scheduler_name,
            "",
            self.clock.clone(),
            self.rng.fork(),
        );
        self.supervisor
            .spawn("scheduler events", Importance::Ordinary, writer);
        recorder
    }

    fn reporters(&self, recorder: &SeriesRecorder, pods: &Store<Pod>) -> Reports {
        let reporter = |number: usize| {
            let (sender, mut queue) = mpsc::channel::<Report>(REPORTS_QUEUED);
            let reporter = Reporter {
                client: self.client.clone(),
                clock: self.clock.clone(),
                recorder: recorder.clone(),
                pods: pods.clone(),
            };
            let name = format!("scheduler reporter {number}");
            self.supervisor
                .spawn(name, Importance::Essential, async move {
                    while let Some(report) = queue.recv().await {
                        reporter.report(report).await;
                    }
                });
            sender
        };
        Reports((0..REPORTERS).map(reporter).collect())
    }

    fn binders(
        &self,
        core: &Arc<Core>,
        recorder: &SeriesRecorder,
        reports: &Reports,
    ) -> mpsc::Sender<Binding> {
        let (sender, queue) = mpsc::channel::<Binding>(BINDINGS_QUEUED);
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for number in 0..BINDERS {
            let binder = Binder {
                client: self.client.clone(),
                core: Arc::clone(core),
                recorder: recorder.clone(),
                reports: reports.clone(),
            };
            let queue = Arc::clone(&queue);
            let name = format!("scheduler binder {number}");
            self.supervisor
                .spawn(name, Importance::Essential, async move {
                    loop {
                        // The lock is held for one receive, not for the binding.
                        let next = queue.lock().await.recv().await;
                        let Some(binding) = next else { return };
                        binder.bind(binding).await;
                    }
                });
        }
        sender
    }
}

impl Handle {
    /// How attempts to place pods went so far.
    pub fn attempts(&self) -> Attempts {
        self.core.lock().attempts()
    }

    /// What each plugin says of each node for a pod.
    pub fn explain(&self, pod: &Pod) -> Result<Explanation, PodError> {
        self.core.lock().explain(pod)
    }

    /// Counters under upstream's names (pkg/scheduler/metrics), as text.
    pub fn metrics(&self) -> String {
        let core = self.core.lock();
        let (attempts, pending) = (core.attempts(), core.pending());
        drop(core);
        let profile = &self.profile;
        let mut text = String::from("# TYPE scheduler_schedule_attempts_total counter\n");
        for (result, count) in [
            ("error", attempts.error),
            ("scheduled", attempts.scheduled),
            ("unschedulable", attempts.unschedulable),
        ] {
            let labels = format!("profile=\"{profile}\",result=\"{result}\"");
            text.push_str(&format!(
                "scheduler_schedule_attempts_total{{{labels}}} {count}\n"
            ));
        }
        text.push_str("# TYPE scheduler_pending_pods gauge\n");
        for (queue, count) in [
            ("active", pending.active),
            ("backoff", pending.backoff),
            ("gated", pending.gated),
            ("unschedulable", pending.unschedulable),
        ] {
            text.push_str(&format!(
                "scheduler_pending_pods{{queue=\"{queue}\"}} {count}\n"
            ));
        }
        text
    }

    /// How many pods wait where.
    pub fn pending(&self) -> Pending {
        self.core.lock().pending()
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, Scheduler> {
        // The core holds no promise that a panic elsewhere could break half-way.
        self.scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the core something and wakes the loop.
    fn tell<R>(&self, news: impl FnOnce(&mut Scheduler) -> R) -> R {
        let result = news(&mut self.lock());
        self.wake.notify_one();
        result
    }
}

impl Caches {
    fn of(factory: &Factory) -> Self {
        Self {
            pods: factory.informer(),
            nodes: factory.informer(),
            namespaces: factory.informer(),
            services: factory.informer(),
            replica_sets: factory.informer(),
            controllers: factory.informer(),
        }
    }

    /// Has the core told of everything that is and will be.
    fn feed(&self, core: &Arc<Core>) {
        follow(&self.namespaces, core, |scheduler, change| {
            match &change.new {
                Some(namespace) => scheduler.namespace_updated(namespace),
                None => scheduler.namespace_deleted(change.object().name()),
            }
        });
        follow(&self.services, core, |scheduler, change| {
            match &change.new {
                Some(service) => scheduler.service_updated(service),
                None => {
                    let gone = change.object();
                    scheduler.service_deleted(gone.namespace(), gone.name());
                }
            }
        });
        follow(
            &self.replica_sets,
            core,
            |scheduler, change| match &change.new {
                Some(set) => complain(set.key(), scheduler.replica_set_updated(set)),
                None => controller_gone(scheduler, &**change.object()),
            },
        );
        follow(&self.controllers, core, |scheduler, change| {
            match &change.new {
                Some(controller) => scheduler.replication_controller_updated(controller),
                None => controller_gone(scheduler, &**change.object()),
            }
        });
        follow(&self.nodes, core, |scheduler, change| match &change.new {
            Some(node) => complain(node.key(), scheduler.node_updated(node)),
            None => scheduler.node_deleted(change.object().name()),
        });
        follow(&self.pods, core, |scheduler, change| {
            if let Some(old) = &change.old
                && change.new.as_ref().is_none_or(|new| new.uid() != old.uid())
            {
                scheduler.pod_deleted(old);
            }
            if let Some(pod) = &change.new {
                complain(pod.key(), scheduler.pod_updated(pod));
            }
        });
    }

    async fn synced(&self) {
        self.pods.synced().await;
        self.nodes.synced().await;
        self.namespaces.synced().await;
        self.services.synced().await;
        self.replica_sets.synced().await;
        self.controllers.synced().await;
    }
}

fn follow<V: Cached>(
    informer: &Informer<V>,
    core: &Arc<Core>,
    news: impl Fn(&mut Scheduler, &Change<V>) + Send + 'static,
) {
    let core = Arc::clone(core);
    informer.on_change(move |change| core.tell(|scheduler| news(scheduler, change)));
}

fn controller_gone<K: Typed>(scheduler: &mut Scheduler, gone: &K) {
    scheduler.controller_deleted(K::KIND, gone.namespace(), gone.name());
}

/// An object that cannot be read is one that validation should have refused.
fn complain<E: std::error::Error>(object: String, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::error!(object, %error, "object is left out of scheduling");
    }
}

/// The loop: decisions, for as long as there are any.
async fn run(
    core: Arc<Core>,
    caches: Caches,
    clock: Clock,
    bindings: mpsc::Sender<Binding>,
    reports: Reports,
) {
    caches.synced().await;
    loop {
        for _ in 0..DECISIONS_PER_TURN {
            // The lock ends here; what follows may wait.
            let decision = core.lock().next_decision();
            let idle = match decision {
                Decision::Bind { pod, node } => {
                    // Receivers live as long as this task.
                    let _ = bindings.send(Binding { pod, node }).await;
                    continue;
                }
                Decision::Unschedulable { pod, message, .. } => {
                    tracing::debug!(pod = pod.key(), message, "unschedulable");
                    reports
                        .send(Report::new(pod, UNSCHEDULABLE, message, true))
                        .await;
                    continue;
                }
                Decision::Gated { pod, message } => {
                    tracing::debug!(pod = pod.key(), message, "gated");
                    let message = GATED_MESSAGE.to_owned();
                    reports
                        .send(Report::new(pod, SCHEDULING_GATED, message, false))
                        .await;
                    continue;
                }
                Decision::Idle { wake_at } => wake_at,
            };
            match idle {
                None => core.wake.notified().await,
                Some(time) => tokio::select! {
                    () = core.wake.notified() => {}
                    () = clock.sleep_until(time) => {}
                },
            }
        }
        tokio::task::yield_now().await;
    }
}

struct Binder {
    client: Client,
    core: Arc<Core>,
    recorder: SeriesRecorder,
    reports: Reports,
}

impl Binder {
    async fn bind(&self, binding: Binding) {
        let Binding { pod, node } = binding;
        let pods = self.client.api::<Pod>().namespace(pod.namespace());
        match pods.bind(pod.name(), pod.uid(), &node).await {
            Ok(()) => {
                self.core.lock().bind_confirmed(pod.uid());
                self.recorder.event(SeriesEvent {
                    regarding: &reference(&pod),
                    related: None,
                    kind: NORMAL,
                    reason: "Scheduled",
                    action: "Binding",
                    note: format!("Successfully assigned {} to {node}", pod.key()),
                });
            }
            Err(error) => {
                tracing::warn!(pod = pod.key(), %node, error = %client::chain(&error), "binding failed");
                self.core.tell(|scheduler| scheduler.bind_failed(pod.uid()));
                if !error.is_not_found() {
                    let message = format!(
                        "binding rejected: running Bind plugin \"DefaultBinder\": {}",
                        error.message()
                    );
                    self.reports
                        .send(Report::new(pod, SCHEDULER_ERROR, message, true))
                        .await;
                }
            }
        }
    }
}

/// The queues of all reporters; a pod always has the same one.
#[derive(Clone)]
struct Reports(Arc<[mpsc::Sender<Report>]>);

impl Reports {
    async fn send(&self, report: Report) {
        let mut hasher = FxHasher::default();
        report.pod.uid().hash(&mut hasher);
        let at = hasher.finish() as usize % self.0.len();
        // Reporters live as long as the tasks that send.
        let _ = self.0[at].send(report).await;
    }
}

impl Report {
    fn new(pod: Arc<PodInfo>, reason: &'static str, message: String, event: bool) -> Self {
        Self {
            pod,
            reason,
            message,
            event,
        }
    }
}

struct Reporter {
    client: Client,
    clock: Clock,
    recorder: SeriesRecorder,
    pods: Store<Pod>,
}

impl Reporter {
    /// Follows handleSchedulingFailure of pkg/scheduler/schedule_one.go.
    async fn report(&self, report: Report) {
        let pod = &report.pod;
        let known = self.pods.get(pod.namespace(), pod.name());
        let Some(known) = known.filter(|known| known.uid() == pod.uid()) else {
            return;
        };
        if report.event {
            self.recorder.event(SeriesEvent {
                regarding: &known.object_reference(),
                related: None,
                kind: WARNING,
                reason: "FailedScheduling",
                action: "Scheduling",
                note: report.message.clone(),
            });
        }
        let Some(patch) = self.condition_patch(&known, &report) else {
            return;
        };
        let pods = self.client.api::<Pod>().namespace(pod.namespace());
        if let Err(error) = pods.patch_status(pod.name(), &patch).await
            && !error.is_not_found()
        {
            tracing::warn!(pod = pod.key(), error = %client::chain(&error), "condition not written");
        }
    }

    /// The change that makes PodScheduled say what the report says; nothing if
    /// it does already.
    fn condition_patch(&self, pod: &Pod, report: &Report) -> Option<Patch> {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let mut conditions = conditions.unwrap_or_default().iter();
        let old = conditions.find(|condition| condition.type_ == "PodScheduled");
        let generation = pod.metadata.generation;
        if old.is_some_and(|old| says(old, report) && old.observed_generation == generation) {
            return None;
        }
        let since = match old.filter(|old| old.status == "False") {
            Some(old) => json!(old.last_transition_time),
            None => json!(stdx::format_seconds(self.clock.wall())),
        };
        let mut condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": report.reason,
            "message": report.message,
            "lastTransitionTime": since,
        });
        if let Some(generation) = generation {
            condition["observedGeneration"] = json!(generation);
        }
        Some(Patch::Strategic(json!({
            "metadata": {"uid": pod.uid()},
            "status": {"conditions": [condition]},
        })))
    }
}

fn says(condition: &PodCondition, report: &Report) -> bool {
    condition.status == "False"
        && condition.reason.as_deref() == Some(report.reason)
        && condition.message.as_deref() == Some(&*report.message)
}

fn reference(pod: &PodInfo) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: Some(pod.namespace().into()),
        name: Some(pod.name().into()),
        uid: Some(pod.uid().into()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::Duration;
    use testkit::FakeApi;
    use testkit::fake::Refusal;

    struct Fixture {
        api: FakeApi,
        clock: Clock,
        handle: Handle,
        _supervisor: Supervisor,
    }

    impl Fixture {
        fn start() -> Self {
            let epoch = "2026-01-01T00:00:00Z".parse().unwrap();
            let clock = Clock::simulated(epoch);
            let api = FakeApi::new(clock.clone(), Rng::seeded(1));
            let supervisor = Supervisor::new("test");
            let rng = Rng::seeded(2);
            let runner = Runner {
                client: api.client(),
                factory: Factory::new(api.client(), clock.clone(), rng.fork(), supervisor.clone()),
                clock: clock.clone(),
                rng,
                supervisor: supervisor.clone(),
                config: Config::default(),
            };
            Self {
                api,
                clock,
                handle: runner.start().unwrap(),
                _supervisor: supervisor,
            }
        }

        fn node(&self, name: &str, cpu: &str) {
            self.api.create(
                "nodes",
                json!({
                    "apiVersion": "v1", "kind": "Node",
                    "metadata": {"name": name},
                    "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "110"}},
                }),
            );
        }

        fn pod(&self, name: &str, cpu: &str) {
            self.api.create(
                "pods",
                json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"containers": [
                        {"name": "c", "resources": {"requests": {"cpu": cpu}}},
                    ]},
                }),
            );
        }

        async fn pass(&self, seconds: u64) {
            self.clock.sleep(Duration::from_secs(seconds)).await;
        }

        fn node_of(&self, name: &str) -> Option<String> {
            let pod = self.api.get("pods", "default", name).unwrap();
            pod["spec"]["nodeName"].as_str().map(str::to_owned)
        }

        fn condition(&self, name: &str) -> Value {
            let pod = self.api.get("pods", "default", name).unwrap();
            pod["status"]["conditions"][0].clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pods_are_bound() {
        let fixture = Fixture::start();
        fixture.node("a", "2");
        fixture.pod("p", "1");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
        fixture.pod("q", "1");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("q").as_deref(), Some("a"));
        assert_eq!(fixture.handle.pending(), Pending::default());
        let metrics = fixture.handle.metrics();
        let scheduled = "{profile=\"default-scheduler\",result=\"scheduled\"} 2\n";
        assert!(metrics.contains(scheduled), "{metrics}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_fits_nowhere_says_so_and_is_bound_when_there_is_room() {
        let fixture = Fixture::start();
        fixture.node("a", "1");
        fixture.pod("p", "2");
        fixture.pass(1).await;
        let condition = fixture.condition("p");
        assert_eq!(condition["type"], "PodScheduled");
        assert_eq!(condition["status"], "False");
        assert_eq!(condition["reason"], "Unschedulable");
        assert_eq!(
            condition["message"],
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
             1 Preemption is not helpful for scheduling."
        );
        fixture.api.take_writes();
        fixture.pass(60).await;
        assert_eq!(fixture.api.take_writes(), [""; 0], "nothing is polled");
        fixture.node("b", "4");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("p").as_deref(), Some("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_binding_is_reported_and_tried_again() {
        let fixture = Fixture::start();
        fixture.node("a", "1");
        fixture.api.react(|_, path| {
            path.contains("/binding")
                .then(|| Refusal::new(500, "InternalError", "the disk is full"))
        });
        fixture.pod("p", "1");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("p"), None);
        let condition = fixture.condition("p");
        assert_eq!(condition["reason"], "SchedulerError");
        let message = condition["message"].as_str().unwrap();
        assert!(message.ends_with("the disk is full"), "{message}");
        fixture.api.relent();
        fixture.pass(30).await;
        assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn gates_are_reported_once() {
        let fixture = Fixture::start();
        fixture.node("a", "1");
        fixture.pod("p", "100m");
        fixture.pass(1).await;
        let gated = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "g", "namespace": "default"},
            "spec": {"containers": [{"name": "c"}], "schedulingGates": [{"name": "quota"}]},
        });
        fixture.api.create("pods", gated);
        fixture.pass(1).await;
        let condition = fixture.condition("g");
        assert_eq!(condition["reason"], "SchedulingGated");
        assert_eq!(condition["message"], GATED_MESSAGE);
        assert_eq!(fixture.handle.pending().gated, 1);
        fixture.api.edit("pods", "default", "g", |pod| {
            pod["spec"]["schedulingGates"] = json!([]);
        });
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("g").as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_written() {
        let fixture = Fixture::start();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&posts);
        fixture.api.react(move |method, path| {
            if method == "POST" && path.contains("events") {
                seen.lock().unwrap().push(path.to_owned());
            }
            None
        });
        fixture.node("a", "1");
        fixture.pod("p", "1");
        fixture.pod("q", "1");
        fixture.pass(1).await;
        let path = "/apis/events.k8s.io/v1/namespaces/default/events";
        let posts = posts.lock().unwrap();
        assert_eq!(posts.len(), 2, "Scheduled and FailedScheduling");
        assert!(posts.iter().all(|post| post.starts_with(path)), "{posts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_given_anew_is_another_pod() {
        let fixture = Fixture::start();
        fixture.node("a", "1");
        fixture.pod("p", "1");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
        fixture.api.remove("pods", "default", "p");
        fixture.pod("p", "1");
        fixture.pass(1).await;
        assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
    }
}
