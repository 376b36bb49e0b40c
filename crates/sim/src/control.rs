//! The process of controllers and scheduler: killed and started anew at times.

use crate::network::Network;
use crate::world::World;
use controllers::{Manager, Options};
use informer::{Factory, Metrics};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::Supervisor;

/// The machine on which controllers and scheduler run. Clones are the same machine.
#[derive(Clone)]
pub struct Control {
    world: World,
    network: Network,
    process: Arc<Mutex<Option<Process>>>,
}

struct Process {
    supervisor: Supervisor,
    metrics: Metrics,
    scheduler: Option<scheduler::Handle>,
}

/// The machine's name.
pub const MACHINE: &str = "control";

impl Control {
    /// A machine on which nothing runs.
    pub fn new(world: &World, network: &Network) -> Self {
        Self {
            world: world.clone(),
            network: network.clone(),
            process: Arc::default(),
        }
    }

    /// Starts controllers and scheduler, unless they run.
    pub fn start(&self) {
        let mut slot = self.slot();
        if slot.is_some() {
            return;
        }
        self.world.trace.note("control runs");
        let supervisor = Supervisor::new("control");
        let (world, network) = (self.world.clone(), self.network.clone());
        let metrics = Metrics::default();
        let manager = Manager {
            clients: Box::new(move |identity| network.client(&world, MACHINE, identity)),
            clock: self.world.clock.clone(),
            rng: self.world.rng.fork(),
            supervisor: supervisor.clone(),
            metrics: metrics.clone(),
            options: Options {
                root_ca: "PEM".to_owned(),
                cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
                service_cidrs: vec!["10.43.0.0/24".to_owned()],
                ..Options::default()
            },
        };
        manager.start(|_| true);
        // With caches of its own, so that it is known what the controllers know.
        let client = self
            .network
            .client(&self.world, MACHINE, "system:kube-scheduler");
        let factory = Factory::new(
            client.clone(),
            self.world.clock.clone(),
            self.world.rng.fork(),
            supervisor.clone(),
        );
        let runner = scheduler::Runner {
            client,
            factory,
            clock: self.world.clock.clone(),
            rng: self.world.rng.fork(),
            supervisor: supervisor.clone(),
            config: scheduler::Config::default(),
        };
        let scheduler = match runner.start() {
            Ok(handle) => Some(handle),
            Err(error) => {
                self.world
                    .violate(format_args!("the scheduler does not start: {error}"));
                None
            }
        };
        *slot = Some(Process {
            supervisor,
            metrics,
            scheduler,
        });
    }

    /// Kills controllers and scheduler.
    pub async fn kill(&self) {
        let process = self.slot().take();
        if let Some(process) = process {
            self.world.trace.note("control ends");
            self.check(&process);
            process.supervisor.shutdown(Duration::from_secs(1)).await;
        }
    }

    /// Says whether something went wrong that the process hides: a panic, an end.
    pub fn look(&self) {
        if let Some(process) = &*self.slot() {
            self.check(process);
        }
    }

    /// How many pods wait to be placed.
    pub fn pending(&self) -> String {
        let slot = self.slot();
        let handle = slot.as_ref().and_then(|process| process.scheduler.as_ref());
        handle.map_or_else(String::new, |handle| format!("{:?}", handle.pending()))
    }

    fn check(&self, process: &Process) {
        let failed = futures::FutureExt::now_or_never(process.supervisor.failed());
        if let Some(failure) = failed {
            self.world.violate(failure);
        }
        let metrics = process.metrics.render();
        let panicked = metrics
            .lines()
            .find(|line| line.starts_with("workqueue_panics_total") && !line.ends_with(" 0"));
        if let Some(line) = panicked {
            self.world
                .violate(format_args!("a controller panicked: {line}"));
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
