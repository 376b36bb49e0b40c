//! What a controller is given to work with.

use crate::TokenSigner;
use client::Client;
use client::events::Recorder;
use informer::{Factory, Metrics, ObjectKey, Queue, Reconcile, Workers};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Importance, Rng, Supervisor};

/// Settings that controllers read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The certificate authority that pods shall believe, as PEM.
    pub root_ca: String,
    /// The ranges that nodes' pod addresses are taken from; empty if nodes get none.
    pub cluster_cidrs: Vec<String>,
    /// The ranges of Service addresses, which nodes' pod addresses must not touch.
    pub service_cidrs: Vec<String>,
    /// The prefix length of a node's IPv4 range.
    pub node_cidr_mask_size_ipv4: u8,
    /// The prefix length of a node's IPv6 range.
    pub node_cidr_mask_size_ipv6: u8,
    /// How long a namespace that shall go is left alone, so that every API server has heard of it
    /// and lets nothing new in.
    pub namespace_deletion_grace: Duration,
    /// Who signs the tokens that lie in Secrets; without one they are not made.
    pub token_signer: Option<Signer>,
    /// How many terminated pods may stay.
    pub terminated_pod_gc_threshold: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root_ca: String::new(),
            cluster_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            node_cidr_mask_size_ipv4: 24,
            node_cidr_mask_size_ipv6: 64,
            namespace_deletion_grace: Duration::from_secs(1),
            token_signer: None,
            terminated_pod_gc_threshold: 12_500,
        }
    }
}

/// Somebody who signs tokens.
#[derive(Clone)]
pub struct Signer(pub Arc<dyn TokenSigner>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// What a controller is given to work with.
#[derive(Clone)]
pub struct Context {
    /// The controller's name.
    pub name: &'static str,
    /// A client under the controller's identity.
    pub client: Client,
    /// The caches that all controllers share.
    pub factory: Factory,
    /// The clock.
    pub clock: Clock,
    /// A stream of random numbers of its own.
    pub rng: Rng,
    /// The owner of the controller's tasks.
    pub supervisor: Supervisor,
    /// The counters of its queues.
    pub metrics: Metrics,
    /// Settings.
    pub options: Arc<Options>,
}

impl Context {
    /// A queue under the controller's name.
    pub fn queue<K: Ord + Clone>(&self) -> Queue<K> {
        Queue::new(self.name, self.clock.clone(), &self.metrics)
    }

    /// A recorder of events that come from a component.
    pub fn recorder(&self, component: &str) -> Recorder {
        let (recorder, writer) = Recorder::new(
            self.client.clone(),
            component,
            "",
            self.clock.clone(),
            self.rng.fork(),
        );
        self.supervisor.spawn(
            format!("{} events", self.name),
            Importance::Ordinary,
            writer,
        );
        recorder
    }

    /// Runs a reconciler as soon as what it reads is synced.
    pub fn reconcile<K>(
        &self,
        queue: Queue<K>,
        workers: Workers,
        synced: impl Future<Output = ()> + Send + 'static,
        reconciler: Arc<dyn Reconcile<K>>,
    ) where
        K: Ord + Clone + std::fmt::Display + Send + Sync + 'static,
    {
        self.supervisor
            .spawn(self.name, Importance::Essential, async move {
                synced.await;
                informer::run(queue, workers, reconciler).await;
            });
    }

    /// Runs a task for as long as the controller lives.
    pub fn spawn(&self, task: &str, work: impl Future<Output = ()> + Send + 'static) {
        self.supervisor
            .spawn(format!("{} {task}", self.name), Importance::Essential, work);
    }
}

/// Has an object looked at whenever it changes.
pub(crate) fn enqueue_changed<V: informer::Cached>(
    informer: &informer::Informer<V>,
    queue: &Queue<ObjectKey>,
) {
    let queue = queue.clone();
    informer.on_change(move |change| queue.add(change.object().object_key()));
}
