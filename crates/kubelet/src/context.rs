//! What all parts of one kubelet share.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use client::Client;
use container::Runtime;
use informer::Store;
use stdx::{Clock, Rng, Supervisor};
use typed::Typed;
use typed::api::core::v1::{Node, ObjectReference, Pod, Service};

use crate::config::Config;
use crate::doors::{Cgroups, Events, ImageStore, Kind, Machine, Mounts, Network};
use crate::env::field::NodeFacts;
use crate::events::{container_reference, pod_reference};
use crate::eviction::Pressure;
use crate::image_gc::Collector;
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::probes::Probes;
use crate::resources::{Amounts, NodeMemory};
use crate::status::manager::StatusManager;
use crate::tokens::Tokens;
use crate::wakes::Wakes;

/// Shared by all parts of one kubelet.
pub struct Context {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) supervisor: Supervisor,
    pub(crate) client: Client,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) runtime_name: String,
    pub(crate) images: Arc<dyn ImageStore>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) mounts: Arc<dyn Mounts>,
    pub(crate) cgroups: Arc<dyn Cgroups>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) pods: Store<Pod>,
    pub(crate) services: Store<Service>,
    pub(crate) nodes: Store<Node>,
    pub(crate) status: StatusManager,
    pub(crate) probes: Probes,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) metrics: Metrics,
    /// What pods may use of the node.
    pub(crate) allocatable: RwLock<Amounts>,
    /// The node's memory.
    pub(crate) memory: NodeMemory,
    /// What the machine runs short of.
    pub(crate) pressure: RwLock<Pressure>,
    /// Knows which images are used.
    pub(crate) collector: tokio::sync::Mutex<Collector>,
}

impl Context {
    /// The node as the server knows it.
    pub(crate) fn node(&self) -> Option<Arc<Node>> {
        self.nodes.get("", &self.config.node_name)
    }

    pub(crate) fn pressure(&self) -> Pressure {
        *self.pressure.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_pressure(&self, pressure: Pressure) {
        *self
            .pressure
            .write()
            .unwrap_or_else(PoisonError::into_inner) = pressure;
    }

    pub(crate) fn allocatable(&self) -> Amounts {
        let allocatable = self.allocatable.read();
        allocatable.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn node_facts(&self, pod_ips: Vec<String>) -> NodeFacts {
        NodeFacts {
            pod_ips,
            host_ips: self.config.node_ips.clone(),
            allocatable: self.allocatable(),
        }
    }

    pub(crate) fn pod_directory(&self, pod: &Pod) -> PathBuf {
        self.config.pod_directory(pod.uid())
    }

    pub(crate) fn log_directory(&self, pod: &Pod) -> PathBuf {
        let name = crate::pod::log_directory_name(pod);
        self.config.log_root.join(name)
    }

    pub(crate) fn normal(&self, pod: &Pod, reason: &str, message: impl Into<String>) {
        self.event(&pod_reference(pod), Kind::Normal, reason, message);
    }

    pub(crate) fn warn(&self, pod: &Pod, reason: &str, message: impl Into<String>) {
        self.event(&pod_reference(pod), Kind::Warning, reason, message);
    }

    pub(crate) fn container_event(
        &self,
        pod: &Pod,
        container: &str,
        kind: Kind,
        reason: &str,
        message: impl Into<String>,
    ) {
        let object = container_reference(pod, container);
        self.event(&object, kind, reason, message);
    }

    fn event(
        &self,
        object: &ObjectReference,
        kind: Kind,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.events.event(object, kind, reason, message.into());
    }
}
