//! Putting a kubelet together and keeping it going.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use client::events::Recorder;
use client::{Client, ListOptions};
use container::Runtime;
use informer::{Factory, Informer};
use stdx::{Clock, Importance, Rng, Supervisor};
use tokio::sync::{Notify, mpsc};
use typed::Typed;
use typed::api::core::v1::{Node, Pod, Service};

use crate::config::Config;
use crate::context::Context;
use crate::doors::{Cgroups, Events, ImageStore, Kind, Machine, Mounts, Network};
use crate::events::node_reference;
use crate::eviction;
use crate::housekeeping;
use crate::metrics::Metrics;
use crate::node::{self, lease, register, status::StatusLoop};
use crate::objects::{Notify as Tell, WatchedObjects};
use crate::pod_source;
use crate::probes::{self, Prober, Probes, RealProber};
use crate::resources::NodeMemory;
use crate::status::manager::StatusManager;
use crate::tokens::TokenManager;
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
    /// The runtime does not say who or how it is.
    #[error("ask the container runtime for its version and status")]
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
    let runtime_status = doors.runtime.status().await.map_err(StartError::Runtime)?;
    for directory in [config.root.join("pods"), config.log_root.clone()] {
        // Secrets are below: nobody but root looks in.
        make_private(&directory).map_err(|source| StartError::Directory {
            path: directory.display().to_string(),
            source,
        })?;
    }
    let sources = Sources::new(informers, &config.node_name);
    let queue_metrics = informer::Metrics::default();
    let base = Base {
        config,
        client,
        clock,
        rng,
        supervisor: supervisor.clone(),
    };
    let about = About {
        name: version.name.clone(),
        cgroup_version: runtime_status.cgroup_version,
    };
    let cx = Arc::new(assemble(base, doors, &sources, about, &queue_metrics));
    let handle = Handle {
        cx: Arc::clone(&cx),
        workers: PodWorkers::new(Arc::clone(&cx)),
        queue_metrics,
    };
    let runtime_events = cx.runtime.events();
    let statuses = cx.status.clone().run();
    supervisor.spawn("status", Importance::Essential, statuses);
    supervisor.spawn(
        "runtime events",
        Importance::Essential,
        pod_source::watch_runtime(Arc::clone(&cx), runtime_events),
    );
    let runtime_version = format!("{}://{}", version.name, version.version);
    let main = keep(handle.clone(), sources, runtime_version);
    supervisor.spawn("pods", Importance::Essential, main);
    Ok(handle)
}

/// What the API server says, kept up to date.
struct Sources {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    services: Informer<Service>,
}

impl Sources {
    fn new(informers: &Factory, node: &str) -> Self {
        let own_pods = ListOptions::fields(format!("spec.nodeName={node}"));
        let own_node = ListOptions::fields(format!("metadata.name={node}"));
        Self {
            pods: informers.selected(own_pods),
            nodes: informers.selected(own_node),
            services: informers.informer(),
        }
    }

    async fn synced(&self) {
        self.nodes.synced().await;
        self.services.synced().await;
        self.pods.synced().await;
    }
}

/// What everything is made from.
struct Base {
    config: Config,
    client: Client,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
}

/// What the runtime says of itself.
struct About {
    name: String,
    cgroup_version: u8,
}

fn assemble(
    base: Base,
    doors: Doors,
    sources: &Sources,
    about: About,
    queue_metrics: &informer::Metrics,
) -> Context {
    let events = doors.events.clone().unwrap_or_else(|| recorder(&base));
    let wakes = Arc::new(Wakes::default());
    let metrics = Metrics::default();
    let status = StatusManager::new(
        base.client.clone(),
        sources.pods.store(),
        base.clock.clone(),
        queue_metrics,
    );
    let told = Arc::clone(&wakes);
    let tell: Tell = Arc::new(move |uid: &str| told.wake(uid));
    let objects = WatchedObjects::new(
        base.client.clone(),
        base.clock.clone(),
        base.rng.fork(),
        base.supervisor.clone(),
        tell,
    );
    let real = RealProber {
        runtime: Arc::clone(&doors.runtime),
        clock: base.clock.clone(),
    };
    let probes = Probes::new(probes::Parts {
        prober: doors.prober.unwrap_or_else(|| Arc::new(real)),
        status: status.clone(),
        events: Arc::clone(&events),
        wakes: Arc::clone(&wakes),
        clock: base.clock.clone(),
        rng: base.rng.fork(),
        supervisor: base.supervisor.clone(),
        metrics: metrics.clone(),
    });
    let facts = doors.machine.facts();
    let disk = doors.machine.disk(&base.config.root).unwrap_or_default();
    let room = node::room(&base.config, &facts, disk);
    let tokens = TokenManager::new(base.client.clone(), base.clock.clone());
    Context {
        config: base.config,
        clock: base.clock,
        rng: base.rng,
        supervisor: base.supervisor,
        client: base.client,
        runtime: doors.runtime,
        runtime_name: about.name,
        images: doors.images,
        network: doors.network,
        mounts: doors.mounts,
        cgroups: doors.cgroups,
        machine: doors.machine,
        objects: Arc::new(objects),
        tokens: Arc::new(tokens),
        events,
        pods: sources.pods.store(),
        services: sources.services.store(),
        nodes: sources.nodes.store(),
        status,
        probes,
        wakes,
        metrics,
        allocatable: RwLock::new(room.allocatable),
        memory: NodeMemory {
            bytes: facts.memory_bytes,
            cgroup_version: about.cgroup_version,
        },
        pressure: RwLock::default(),
        collector: tokio::sync::Mutex::default(),
    }
}

fn recorder(base: &Base) -> Arc<dyn Events> {
    let (recorder, writer) = Recorder::new(
        base.client.clone(),
        "kubelet",
        &base.config.node_name,
        base.clock.clone(),
        base.rng.fork(),
    );
    base.supervisor
        .spawn("events", Importance::Essential, writer);
    Arc::new(recorder)
}

/// Registers the node, and then runs its pods until it is dropped.
async fn keep(handle: Handle, sources: Sources, runtime_version: String) {
    let Handle { cx, workers, .. } = handle;
    let wake = Arc::new(Notify::new());
    let woken = Arc::clone(&wake);
    sources.nodes.on_change(move |_| woken.notify_one());
    let mut status = StatusLoop::new(Arc::clone(&cx), &runtime_version, wake);
    if cx.config.register_node {
        let first = status.status(&[]).await;
        register::register(&cx, || first.clone()).await;
    }
    let object = node_reference(&cx.config.node_name);
    let text = "Starting kubelet.".to_owned();
    cx.events.event(&object, Kind::Normal, "Starting", text);
    let tasks = cx.supervisor.clone();
    tasks.spawn("node status", Importance::Essential, status.run());
    tasks.spawn("lease", Importance::Essential, lease::run(Arc::clone(&cx)));
    sources.synced().await;
    let (sender, receiver) = mpsc::unbounded_channel();
    sources.pods.on_change(move |change| {
        // The loop lives as long as the kubelet does.
        let _ = sender.send((change.old.clone(), change.new.clone()));
    });
    housekeeping::take_over(&cx, &workers).await;
    let eviction = eviction::run(Arc::clone(&cx), workers.clone());
    tasks.spawn("eviction", Importance::Essential, eviction);
    let housekeeping = housekeeping::run(Arc::clone(&cx), workers.clone());
    tasks.spawn("housekeeping", Importance::Essential, housekeeping);
    pod_source::follow(cx, workers, receiver).await;
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o750))
}

/// The uids of these pods.
pub(crate) fn uids(pods: &[Arc<Pod>]) -> HashSet<String> {
    pods.iter().map(|pod| pod.uid().to_owned()).collect()
}

/// How often housekeeping looks at logs.
pub(crate) const HOUSEKEEPING: Duration = Duration::from_secs(10);
