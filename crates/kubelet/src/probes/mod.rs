//! Probes: a file per mechanism and one table; a worker per probe of a container.
//!
//! Follows pkg/kubelet/prober/prober_manager.go, worker.go and prober.go: what
//! is said of a container before its first probe, which probes wait for the
//! startup probe, and what a new container of the same name means.

mod exec;
mod grpc;
pub mod http_get;
mod tcp_socket;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use container::Runtime;
use stdx::{CancellationToken, Clock, Importance, Rng, Supervisor};
use tokio::sync::Notify;
use typed::IntOrString;
use typed::Typed;
use typed::api::core::v1::{Container, ContainerPort, Pod, Probe};

use crate::doors::Events;
use crate::metrics::Metrics;
use crate::plan::ProbeResults;
use crate::pod::{ContainerKind, containers};
use crate::status::manager::StatusManager;
use crate::wakes::Wakes;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whether the container still works.
    Liveness,
    /// Whether it can serve.
    Readiness,
    /// Whether it has started.
    Startup,
}

impl Kind {
    /// As it stands in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
            Kind::Startup => "Startup",
        }
    }

    fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Liveness => container.liveness_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
            Kind::Startup => container.startup_probe.as_ref(),
        }
    }
}

const KINDS: [Kind; 3] = [Kind::Startup, Kind::Readiness, Kind::Liveness];

/// What one attempt found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Success,
    /// Well, but something is odd.
    Warning(String),
    /// Not well.
    Failure(String),
    /// The probe itself did not work; it says nothing of the container.
    Error(String),
}

/// What to probe.
#[derive(Clone, Debug)]
pub struct Target {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The container.
    pub container: Container,
    /// Its id in the runtime.
    pub container_id: String,
    /// The pod's address.
    pub pod_ip: String,
    /// The probe.
    pub probe: Probe,
}

impl Target {
    /// How long an attempt may take.
    pub fn timeout(&self) -> Duration {
        let seconds = self.probe.timeout_seconds.unwrap_or(1).max(1);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
    }
}

/// Probes.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Makes one attempt.
    async fn probe(&self, target: &Target) -> Outcome;
}

/// Probes containers for real.
pub struct RealProber {
    /// Runs commands.
    pub runtime: Arc<dyn Runtime>,
    /// Limits time.
    pub clock: Clock,
}

#[async_trait]
impl Prober for RealProber {
    async fn probe(&self, target: &Target) -> Outcome {
        let probe = &target.probe;
        if let Some(action) = &probe.exec {
            return exec::probe(&*self.runtime, target, action).await;
        }
        if let Some(action) = &probe.grpc {
            return grpc::probe(&self.clock, target, action).await;
        }
        if let Some(action) = &probe.http_get {
            return http_get::probe(&self.clock, target, action).await;
        }
        if let Some(action) = &probe.tcp_socket {
            return tcp_socket::probe(&self.clock, target, action).await;
        }
        let name = &target.container.name;
        Outcome::Error(format!("missing probe handler for container {name}"))
    }
}

/// The number of a port that is given by number or by name.
pub fn port_number(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let ports: &[ContainerPort] = container.ports.as_deref().unwrap_or_default();
            let named = ports
                .iter()
                .find(|port| port.name.as_deref() == Some(name.as_str()));
            match (named, name.parse::<i32>()) {
                (Some(port), _) => port.container_port,
                (None, Ok(number)) => number,
                (None, Err(_)) => return Err(format!("couldn't find port: {name}")),
            }
        }
    };
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

/// What is known of containers from their probes.
pub trait Readings: Send + Sync {
    /// Whether a running container has started, as far as probes care.
    fn started(&self, uid: &str, container: &str, id: &str) -> bool;

    /// Whether a started container can serve.
    fn ready(&self, uid: &str, container: &str, id: &str) -> bool;
}

/// A handle to all probe workers. Clones are the same.
#[derive(Clone)]
pub struct Probes {
    inner: Arc<Inner>,
}

struct Inner {
    prober: Arc<dyn Prober>,
    status: StatusManager,
    events: Arc<dyn Events>,
    wakes: Arc<Wakes>,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
    metrics: Metrics,
    state: Mutex<State>,
}

type Key = (String, String, Kind);

#[derive(Default)]
struct State {
    workers: HashMap<Key, WorkerHandle>,
    /// By container id.
    results: HashMap<(String, Kind), Option<bool>>,
}

struct WorkerHandle {
    stop: CancellationToken,
    trigger: Arc<Notify>,
}

/// What the probe workers stand on.
pub struct Parts {
    /// Makes attempts.
    pub prober: Arc<dyn Prober>,
    /// Knows which containers run.
    pub status: StatusManager,
    /// Is told of failures.
    pub events: Arc<dyn Events>,
    /// Has pods looked at when results change.
    pub wakes: Arc<Wakes>,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// Owns the workers.
    pub supervisor: Supervisor,
    /// Counts attempts.
    pub metrics: Metrics,
}

impl Probes {
    /// No workers yet.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            prober,
            status,
            events,
            wakes,
            clock,
            rng,
            supervisor,
            metrics,
        } = parts;
        Self {
            inner: Arc::new(Inner {
                prober,
                status,
                events,
                wakes,
                clock,
                rng,
                supervisor,
                metrics,
                state: Mutex::default(),
            }),
        }
    }

    /// Has a worker for each probe of the pod.
    pub fn add(&self, pod: &Arc<Pod>) {
        for (kind, container) in containers(pod) {
            if !matches!(kind, ContainerKind::Regular | ContainerKind::Sidecar) {
                continue;
            }
            for kind in KINDS {
                if let Some(probe) = kind.of(&container) {
                    self.start(pod, &container, kind, probe);
                }
            }
        }
    }

    fn start(&self, pod: &Arc<Pod>, container: &Container, kind: Kind, probe: &Probe) {
        let key = (pod.uid().to_owned(), container.name.clone(), kind);
        let mut state = self.inner.state();
        if state.workers.contains_key(&key) {
            return;
        }
        let handle = WorkerHandle {
            stop: CancellationToken::new(),
            trigger: Arc::new(Notify::new()),
        };
        let (stop, trigger) = (handle.stop.clone(), Arc::clone(&handle.trigger));
        state.workers.insert(key.clone(), handle);
        drop(state);
        let name = format!("probe {} {} {}", pod.key(), container.name, kind.as_str());
        let worker = worker::Worker::new(
            Arc::clone(&self.inner),
            Arc::clone(pod),
            container.clone(),
            kind,
            probe.clone(),
            trigger,
        );
        let inner = Arc::clone(&self.inner);
        let work = async move {
            stop.run_until_cancelled(worker.run()).await;
            inner.state().workers.remove(&key);
        };
        self.inner
            .supervisor
            .spawn(name, Importance::Ordinary, work);
    }

    /// Ends what must not judge a pod that ends: all but readiness.
    pub fn stop_judging(&self, uid: &str) {
        self.stop(uid, |kind| kind != Kind::Readiness);
    }

    /// Ends all probes of a pod.
    pub fn remove(&self, uid: &str) {
        self.stop(uid, |_| true);
    }

    fn stop(&self, uid: &str, which: impl Fn(Kind) -> bool) {
        let state = self.inner.state();
        let of_pod = state
            .workers
            .iter()
            .filter(|((pod, _, kind), _)| pod == uid && which(*kind));
        of_pod.for_each(|(_, worker)| worker.stop.cancel());
    }

    /// Forgets what was said of these containers.
    pub fn forget<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let mut state = self.inner.state();
        for id in ids {
            for kind in KINDS {
                state.results.remove(&(id.to_owned(), kind));
            }
        }
    }

    /// What liveness and startup probes say of these containers.
    pub fn results<'a>(&self, ids: impl Iterator<Item = &'a str>) -> ProbeResults {
        let state = self.inner.state();
        let mut results = ProbeResults::default();
        for id in ids {
            let of = |kind| state.results.get(&(id.to_owned(), kind)).copied().flatten();
            if let Some(alive) = of(Kind::Liveness) {
                results.liveness.insert(id.to_owned(), alive);
            }
            if let Some(started) = of(Kind::Startup) {
                results.startup.insert(id.to_owned(), started);
            }
        }
        results
    }
}

impl Readings for Probes {
    fn started(&self, uid: &str, container: &str, id: &str) -> bool {
        let state = self.inner.state();
        match state.results.get(&(id.to_owned(), Kind::Startup)) {
            Some(result) => *result == Some(true),
            None => {
                let key = (uid.to_owned(), container.to_owned(), Kind::Startup);
                !state.workers.contains_key(&key)
            }
        }
    }

    fn ready(&self, uid: &str, container: &str, id: &str) -> bool {
        let state = self.inner.state();
        match state.results.get(&(id.to_owned(), Kind::Readiness)) {
            Some(result) => *result == Some(true),
            None => {
                let key = (uid.to_owned(), container.to_owned(), Kind::Readiness);
                let worker = state.workers.get(&key);
                if let Some(worker) = worker {
                    // The container has just started: do not wait for the next period.
                    worker.trigger.notify_one();
                }
                worker.is_none()
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a result and has the pod looked at if it is new.
    fn set(&self, uid: &str, id: &str, kind: Kind, result: Option<bool>) {
        let before = self.state().results.insert((id.to_owned(), kind), result);
        if before != Some(result) {
            self.wakes.wake(uid);
        }
    }
}
