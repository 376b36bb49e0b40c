//! Putting a kubelet together and keeping it going.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use client::events::Recorder;
use client::{Client, ListOptions};
use container::Runtime;
use container::status::SandboxFilter;
use informer::Factory;
use stdx::{Clock, Importance, Rng, Supervisor};
use tokio::sync::{Notify, broadcast, mpsc};
use typed::Typed;
use typed::api::core::v1::{Node, Pod, Service};

use crate::admission::admit;
use crate::config::Config;
use crate::context::Context;
use crate::doors::{Cgroups, Events, ImageStore, Kind, Machine, Mounts, Network};
use crate::events::node_reference;
use crate::housekeeping;
use crate::metrics::Metrics;
use crate::node::{self, lease, register, status::StatusLoop};
use crate::objects::{Notify as Tell, WatchedObjects};
use crate::pod::{is_terminal, phase};
use crate::probes::{self, Prober, Probes, RealProber};
use crate::security::forbidden_sysctl;
use crate::status::Failure;
use crate::status::manager::StatusManager;
use crate::tokens::{TokenManager, Tokens};
use crate::wakes::Wakes;
use crate::worker::PodWorkers;

/// The node below the kubelet.
pub struct Doors {
    /// Runs containers.
    pub runtime: Arc<dyn Runtime>,
    /// Has images.
    pub images: Arc<dyn ImageStore>,
    /// Connects pods.
    pub network: Arc<dyn Network>,
    /// Mounts volumes.
    pub mounts: Arc<dyn Mounts>,
    /// Holds the groups above containers.
    pub cgroups: Arc<dyn Cgroups>,
    /// Knows the machine.
    pub machine: Arc<dyn Machine>,
    /// Probes; the real thing if absent.
    pub prober: Option<Arc<dyn Prober>>,
    /// Where events go; to the API server if absent.
    pub events: Option<Arc<dyn Events>>,
}

/// A running kubelet. Clones are the same; dropping one ends nothing.
#[derive(Clone)]
pub struct Handle {
    pub(crate) cx: Arc<Context>,
    pub(crate) workers: PodWorkers,
    pub(crate) queue_metrics: informer::Metrics,
}

impl Handle {
    /// Why pods of the cluster's network cannot run here, if they cannot.
    pub fn network_unready(&self) -> Option<String> {
        self.cx.network.unready()
    }

    /// Whether the API server knows this node as ready.
    pub fn is_ready(&self) -> bool {
        self.cx.node().is_some_and(|node| {
            let status = node.status.as_ref();
            let mut conditions = status
                .into_iter()
                .flat_map(|status| status.conditions.iter().flatten());
            conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
    }

    /// The counters, in Prometheus' text form.
    pub fn metrics(&self) -> String {
        self.cx.metrics.render() + &self.queue_metrics.render()
    }

    /// How many pods have a worker.
    pub fn pod_count(&self) -> usize {
        self.workers.uids().len()
    }
}

/// The node cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime does not say who it is.
    #[error("ask the container runtime for its version")]
    Runtime(#[source] container::Error),
    /// A directory cannot be made.
    #[error("create {path}")]
    Directory {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Starts a kubelet: its tasks are the supervisor's. `informers` reads as the
/// node; the client speaks as the node.
pub async fn run(
    config: Config,
    client: Client,
    doors: Doors,
    informers: &Factory,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
) -> Result<Handle, StartError> {
    let version = doors.runtime.version().await.map_err(StartError::Runtime)?;
    for directory in [config.root.join("pods"), config.log_root.clone()] {
        // Secrets are below: nobody but root looks in.
        make_private(&directory).map_err(|source| StartError::Directory {
            path: directory.display().to_string(),
            source,
        })?;
    }
    let name = config.node_name.clone();
    let own_pods = ListOptions::fields(format!("spec.nodeName={name}"));
    let pods = informers.selected::<Pod>(own_pods);
    let nodes = informers.selected::<Node>(ListOptions::fields(format!("metadata.name={name}")));
    let services = informers.informer::<Service>();
    let queue_metrics = informer::Metrics::default();
    let events = doors.events.clone().unwrap_or_else(|| {
        let (recorder, writer) =
            Recorder::new(client.clone(), "kubelet", &name, clock.clone(), rng.fork());
        supervisor.spawn("events", Importance::Essential, writer);
        Arc::new(recorder)
    });
    let wakes = Arc::new(Wakes::default());
    let status = StatusManager::new(client.clone(), pods.store(), clock.clone(), &queue_metrics);
    let told = Arc::clone(&wakes);
    let tell: Tell = Arc::new(move |uid: &str| told.wake(uid));
    let objects = WatchedObjects::new(
        client.clone(),
        clock.clone(),
        rng.fork(),
        supervisor.clone(),
        tell,
    );
    let metrics = Metrics::default();
    let prober = doors.prober.clone().unwrap_or_else(|| {
        Arc::new(RealProber {
            runtime: Arc::clone(&doors.runtime),
            clock: clock.clone(),
        })
    });
    let probes = Probes::new(probes::Parts {
        prober,
        status: status.clone(),
        events: Arc::clone(&events),
        wakes: Arc::clone(&wakes),
        clock: clock.clone(),
        rng: rng.fork(),
        supervisor: supervisor.clone(),
        metrics: metrics.clone(),
    });
    let facts = doors.machine.facts();
    let disk = doors.machine.disk(&config.root).unwrap_or_default();
    let room = node::room(&config, &facts, disk);
    let tokens: Arc<dyn Tokens> = Arc::new(TokenManager::new(client.clone(), clock.clone()));
    let cx = Arc::new(Context {
        config,
        clock,
        rng,
        supervisor: supervisor.clone(),
        client,
        runtime: doors.runtime,
        runtime_name: version.name.clone(),
        images: doors.images,
        network: doors.network,
        mounts: doors.mounts,
        cgroups: doors.cgroups,
        machine: doors.machine,
        objects: Arc::new(objects),
        tokens,
        events,
        pods: pods.store(),
        services: services.store(),
        nodes: nodes.store(),
        status: status.clone(),
        probes,
        wakes,
        metrics,
        allocatable: RwLock::new(room.allocatable),
        memory_bytes: facts.memory_bytes,
    });
    let workers = PodWorkers::new(Arc::clone(&cx));
    let handle = Handle {
        cx: Arc::clone(&cx),
        workers: workers.clone(),
        queue_metrics,
    };
    supervisor.spawn("status", Importance::Essential, status.run());
    let runtime_version = format!("{}://{}", version.name, version.version);
    let events_of_runtime = cx.runtime.events();
    supervisor.spawn(
        "runtime events",
        Importance::Essential,
        watch_runtime(Arc::clone(&cx), events_of_runtime),
    );
    let wake_node = Arc::new(Notify::new());
    let woken = Arc::clone(&wake_node);
    nodes.on_change(move |_| woken.notify_one());
    let main = async move {
        let mut status_loop = StatusLoop::new(Arc::clone(&cx), &runtime_version, wake_node);
        if cx.config.register_node {
            let first = status_loop.status(&[]).await;
            register::register(&cx, || first.clone()).await;
        }
        let object = node_reference(&cx.config.node_name);
        let text = "Starting kubelet.".to_owned();
        cx.events.event(&object, Kind::Normal, "Starting", text);
        let node_parts = cx.supervisor.clone();
        node_parts.spawn("node status", Importance::Essential, status_loop.run());
        node_parts.spawn("lease", Importance::Essential, lease::run(Arc::clone(&cx)));
        nodes.synced().await;
        services.synced().await;
        pods.synced().await;
        let (sender, receiver) = mpsc::unbounded_channel();
        pods.on_change(move |change| {
            // The loop lives as long as the kubelet does.
            let _ = sender.send((change.old.clone(), change.new.clone()));
        });
        housekeeping::take_over(&cx, &workers).await;
        node_parts.spawn(
            "housekeeping",
            Importance::Essential,
            housekeeping::run(Arc::clone(&cx), workers.clone()),
        );
        follow_pods(cx, workers, receiver).await;
    };
    supervisor.spawn("pods", Importance::Essential, main);
    Ok(handle)
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o750))
}

/// Has pods looked at when something happens to their containers.
async fn watch_runtime(
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

type PodChange = (Option<Arc<Pod>>, Option<Arc<Pod>>);

/// Directs the workers by what the API server says.
async fn follow_pods(
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
    let node = cx.node()?;
    let sysctl = forbidden_sysctl(pod, &cx.config);
    admit(pod, &workers.active(), &node, &cx.allocatable(), sysctl).err()
}

/// The uids of these pods.
pub(crate) fn uids(pods: &[Arc<Pod>]) -> HashSet<String> {
    pods.iter().map(|pod| pod.uid().to_owned()).collect()
}

/// How long after the last change pods and workers are compared.
const RECOUNT: Duration = Duration::from_secs(30);

/// How often housekeeping looks at logs.
pub(crate) const HOUSEKEEPING: Duration = Duration::from_secs(10);
