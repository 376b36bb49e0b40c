//! A node: a machine whose containers live on while its kubelet restarts, and a
//! small kubelet that registers the node, keeps its lease, runs the pods that
//! are bound to it, says how they are, and ends them when they shall go.

mod container;
mod pods;
mod register;

use crate::network::Network;
use crate::world::World;
use client::Client;
use container::Containers;
use informer::Factory;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Importance, Rng, Supervisor, Timestamp};

/// What one node has to give, in thousandths of a core.
pub const MILLI_CPU: i64 = 2000;

/// A node's machine. Clones are the same machine.
#[derive(Clone)]
pub struct Node {
    /// The node's name, which is also the machine's.
    pub name: String,
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    network: Network,
    number: usize,
    /// This machine's own idea of the time.
    clock: Clock,
    rng: Rng,
    containers: Mutex<Containers>,
    kubelet: Mutex<Option<Supervisor>>,
}

/// What a kubelet's tasks share.
#[derive(Clone)]
struct Kubelet {
    node: Node,
    client: Client,
    rng: Rng,
    supervisor: Supervisor,
}

impl Node {
    /// A machine that is turned off.
    pub fn new(world: &World, network: &Network, number: usize, epoch: Timestamp) -> Self {
        let rng = world.rng.fork();
        let inner = Inner {
            world: world.clone(),
            network: network.clone(),
            number,
            clock: Clock::simulated(epoch),
            rng,
            containers: Mutex::default(),
            kubelet: Mutex::default(),
        };
        Self {
            name: format!("node-{number}"),
            inner: Arc::new(inner),
        }
    }

    /// Starts the kubelet, unless it runs.
    pub fn start(&self) {
        let mut slot = self.kubelet();
        if slot.is_some() {
            return;
        }
        self.inner
            .world
            .trace
            .note(format_args!("{} runs", self.name));
        let supervisor = Supervisor::new(self.name.clone());
        let identity = format!("system:node:{}", self.name);
        let client = self
            .inner
            .network
            .client(&self.inner.world, &self.name, &identity);
        let rng = self.inner.rng.fork();
        let factory = Factory::new(
            client.clone(),
            self.inner.clock.clone(),
            rng.fork(),
            supervisor.clone(),
        );
        let kubelet = Kubelet {
            node: self.clone(),
            client,
            rng,
            supervisor: supervisor.clone(),
        };
        register::start(&kubelet, &factory);
        pods::start(&kubelet, &factory);
        *slot = Some(supervisor);
    }

    /// Kills the kubelet; containers live on.
    pub async fn stop(&self) {
        let supervisor = self.kubelet().take();
        if let Some(supervisor) = supervisor {
            self.inner
                .world
                .trace
                .note(format_args!("{} stops", self.name));
            supervisor.shutdown(Duration::from_secs(1)).await;
        }
    }

    /// Turns the machine off: no container lives on.
    pub async fn die(&self) {
        self.stop().await;
        self.containers().end_all();
    }

    /// The machine's clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The uids of the pods whose containers run here.
    pub fn running(&self) -> Vec<String> {
        self.containers().uids()
    }

    fn containers(&self) -> MutexGuard<'_, Containers> {
        self.inner
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn kubelet(&self) -> MutexGuard<'_, Option<Supervisor>> {
        self.inner
            .kubelet
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kubelet {
    fn clock(&self) -> &Clock {
        &self.node.inner.clock
    }

    fn spawn(&self, name: &str, work: impl Future<Output = ()> + Send + 'static) {
        self.supervisor.spawn(name, Importance::Ordinary, work);
    }

    /// A moment before the next try.
    async fn pause(&self) {
        let pause = self.rng.jitter(Duration::from_millis(700), 1.0);
        self.clock().sleep(pause).await;
    }
}
