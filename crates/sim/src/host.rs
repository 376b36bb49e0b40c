//! The server's machine: a disk that keeps what it synced, and a server process
//! that is killed, loses its power, and starts again from what the disk kept.

use crate::anybody::{Anybody, Lifecycle};
use crate::ledger::Noted;
use crate::world::World;
use admission::Chain;
use apiserver::Server;
use client::Client;
use loopback::Loopback;
use meta::schema::Ref;
use registry::hooks::Hooks;
use registry::{Registry, ServiceAllocator};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{CancellationToken, Importance, Supervisor};
use store::disk::{Faults, SimulatedDisk};
use store::{Embedded, OpenError, Range, Revision, Span, Store, WatchFrom};

/// How a server process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed; what it wrote is still there.
    Kill,
    /// The power goes; what was not synced may be lost.
    PowerCut,
    /// The power goes in the middle of some operation of the disk.
    TornWrite,
}

/// The server's machine. Clones are the same machine.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    world: World,
    disk: SimulatedDisk,
    running: Mutex<Option<Arc<Running>>>,
    state: Mutex<State>,
}

/// What goes wrong with the machine.
#[derive(Default)]
struct State {
    faults: Faults,
    /// After how many operations of the disk the power goes at the next start.
    broken_start: Option<u64>,
}

/// A server process.
pub struct Running {
    /// The server.
    pub server: Arc<Server>,
    /// Its store.
    pub store: Arc<Embedded>,
    /// Cancelled when the process ends.
    pub ended: CancellationToken,
    supervisor: Supervisor,
}

impl Running {
    /// Runs something in the process.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.supervisor.spawn("request", Importance::Ordinary, work);
    }
}

impl Host {
    /// A machine with an empty disk, turned off.
    pub fn new(world: &World) -> Self {
        let disk = SimulatedDisk::new(world.clock.clone(), world.rng.fork());
        let inner = Inner {
            world: world.clone(),
            disk,
            running: Mutex::default(),
            state: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The server process, if there is one.
    pub fn running(&self) -> Option<Arc<Running>> {
        self.slot().clone()
    }

    /// Changes what the disk does from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.disk.set_faults(faults.clone());
        self.state().faults = faults;
    }

    /// Leaves only so many bytes free on the disk.
    pub fn fill(&self, room: u64) {
        let used: u64 = self.inner.disk.files().iter().map(|(_, len)| len).sum();
        let faults = Faults {
            capacity: Some(used + room),
            ..self.state().faults.clone()
        };
        self.set_faults(faults);
    }

    /// Takes away what filled the disk.
    pub fn make_room(&self) {
        let faults = Faults {
            capacity: None,
            ..self.state().faults.clone()
        };
        self.set_faults(faults);
    }

    /// Has the power go again in the middle of the next start.
    pub fn break_next_start(&self, operations: u64) {
        self.state().broken_start = Some(operations);
    }

    /// Starts the server from what the disk has, and looks at what that is.
    pub async fn start(&self) {
        let world = &self.inner.world;
        while !world.stop.is_cancelled() {
            if let Some(operations) = self.state().broken_start.take() {
                self.inner.disk.cut_power_after(operations);
            }
            match self.try_start().await {
                Ok(()) => return,
                Err(Trouble::Disk(why)) => {
                    world
                        .trace
                        .note(format_args!("server does not start: {why}"));
                    world.clock.sleep(Duration::from_millis(500)).await;
                }
                Err(Trouble::Wrong(why)) => return world.violate(why),
            }
        }
    }

    /// Ends the server process.
    pub async fn crash(&self, how: Crash) {
        let world = &self.inner.world;
        let disk = &self.inner.disk;
        world.trace.note(format_args!("server ends: {how:?}"));
        match how {
            Crash::Kill => disk.kill(),
            Crash::PowerCut => disk.cut_power(),
            Crash::TornWrite => {
                let boots = disk.boots();
                disk.cut_power_after(world.rng.below(40));
                for _ in 0..1000 {
                    if disk.boots() != boots {
                        break;
                    }
                    world.clock.sleep(Duration::from_millis(5)).await;
                }
                if disk.boots() == boots {
                    disk.cut_power();
                }
            }
        }
        self.end().await;
    }

    async fn try_start(&self) -> Result<(), Trouble> {
        let world = &self.inner.world;
        let boots = self.inner.disk.boots();
        let disk = Arc::new(self.inner.disk.process());
        let options = world.scenario.store.clone();
        let store = Embedded::open_on(disk, world.clock.clone(), world.rng.fork(), options).await;
        let store = Arc::new(store.map_err(|error| match error {
            OpenError::Io { .. } => Trouble::Disk(client::chain(&error)),
            error => Trouble::Wrong(format!(
                "the store does not open: {}",
                client::chain(&error)
            )),
        })?);
        let outcome = self.start_on(&store).await;
        self.inner.disk.keep_power();
        if outcome.is_err() {
            store.close().await;
        } else if self.inner.disk.boots() != boots {
            self.end().await;
            return Err(Trouble::Disk("the power went".to_owned()));
        }
        outcome
    }

    async fn end(&self) {
        let running = self.slot().take();
        if let Some(running) = running {
            running.ended.cancel();
            running.supervisor.shutdown(Duration::from_secs(1)).await;
        }
    }

    async fn start_on(&self, store: &Arc<Embedded>) -> Result<(), Trouble> {
        let world = &self.inner.world;
        self.check_recovered(store).await?;
        let supervisor = Supervisor::new("server");
        let noted = Noted {
            inner: store.clone(),
            ledger: world.ledger.clone(),
        };
        let registry = Arc::new(registry(world, Arc::new(noted)));
        let feed = registry
            .start()
            .await
            .map_err(|status| Trouble::Disk(status.message))?;
        supervisor.spawn("feed", Importance::Essential, feed);
        supervisor.spawn(
            "truth",
            Importance::Essential,
            follow(world.clone(), store.clone()),
        );
        let anybody = Arc::new(Anybody);
        let server = Arc::new(Server::new(
            registry,
            anybody.clone(),
            anybody.clone(),
            anybody.clone(),
            anybody,
        ));
        let running = Arc::new(Running {
            server,
            store: store.clone(),
            ended: CancellationToken::new(),
            supervisor,
        });
        *self.slot() = Some(running);
        world.trace.note("server runs");
        Ok(())
    }

    /// What was acknowledged, and what anybody was told of, is there.
    async fn check_recovered(&self, store: &Arc<Embedded>) -> Result<(), Trouble> {
        let world = &self.inner.world;
        let revision = store.revision().await.map_err(disk_trouble)?;
        world.trace.note(format_args!("recovered {revision}"));
        let known = world.state().history.revision;
        if revision.0 < known {
            let why = format!("recovery ended at {revision}, but clients were told of {known}");
            return Err(Trouble::Wrong(why));
        }
        world
            .ledger
            .check_recovered(revision.0)
            .map_err(Trouble::Wrong)?;
        catch_up(world, store, revision).await?;
        let at = world.state().history.revision;
        if at == 0 {
            return Ok(());
        }
        let range = Range::new(Span::all()).at(Revision(at));
        let page = store.range(range).await.map_err(disk_trouble)?;
        let outcome = world.state().history.compare(&page.records);
        outcome.map_err(|why| Trouble::Wrong(format!("after recovery at {at}: {why}")))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Running>>> {
        self.inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a server does not start.
enum Trouble {
    /// The disk fails; another try may succeed.
    Disk(String),
    /// A promise is broken.
    Wrong(String),
}

fn disk_trouble(error: store::Error) -> Trouble {
    match error {
        store::Error::Read { .. } | store::Error::Closed => Trouble::Disk(client::chain(&error)),
        error => Trouble::Wrong(format!("after recovery: {}", client::chain(&error))),
    }
}

/// Brings the truth up to what the store recovered.
async fn catch_up(world: &World, store: &Embedded, until: Revision) -> Result<(), Trouble> {
    let known = world.state().history.revision;
    let from = WatchFrom::new(Span::all(), Revision(known));
    let mut watch = store.watch(from).await.map_err(disk_trouble)?;
    while world.state().history.revision < until.0 {
        // Nothing may have happened since; then only progress comes.
        watch.progress().send();
        match watch.next().await {
            Some(Ok(batch)) => world.take(&batch),
            Some(Err(error)) => return Err(disk_trouble(error)),
            None => return Err(Trouble::Disk("the store closed".to_owned())),
        }
        if world.stop.is_cancelled() {
            return Ok(());
        }
    }
    Ok(())
}

/// Follows the store for the truth's sake, until the process ends.
async fn follow(world: World, store: Arc<Embedded>) {
    while !world.stop.is_cancelled() {
        let known = world.state().history.revision;
        let from = WatchFrom::new(Span::all(), Revision(known));
        match store.watch(from).await {
            Ok(mut watch) => {
                while let Some(Ok(batch)) = watch.next().await {
                    world.take(&batch);
                }
            }
            Err(store::Error::Compacted { .. }) => {
                world.violate("the truth was compacted before it was seen");
            }
            Err(_) => {}
        }
        world.clock.sleep(Duration::from_millis(50)).await;
    }
    std::future::pending::<()>().await;
}

fn registry(world: &World, store: Arc<dyn Store>) -> Registry {
    let allocator = ServiceAllocator {
        network: ([10, 43, 0, 0].into(), 24),
        reserved: vec![[10, 43, 0, 1].into()],
        ports: (30000, 30031),
    };
    let hooks = Hooks::default().with("", "services", allocator);
    let kinds = api::kinds().map(Ref::Static);
    let chain = Chain::new(vec![Box::new(Lifecycle)]);
    Registry::new(
        store,
        world.clock.clone(),
        world.rng.fork(),
        chain,
        hooks,
        kinds,
    )
}

/// Makes what every cluster has, again and again until it is there.
pub async fn bootstrap(world: &World, host: &Host) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        while !world.stop.is_cancelled() {
            let Some(running) = host.running() else {
                world.clock.sleep(Duration::from_millis(100)).await;
                continue;
            };
            let user = auth::User::new("system:apiserver", &["system:masters"]);
            let client = Client::new(Arc::new(Loopback::new(running.server.clone(), user)));
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            let gvr = client::Gvr::new("", "v1", "namespaces");
            let body = namespace.to_string().into();
            let made = client
                .resource(gvr, false)
                .create(body, &Default::default())
                .await;
            match made {
                Ok(_) => break,
                Err(error) if error.is_already_exists() => break,
                Err(_) => world.clock.sleep(Duration::from_millis(100)).await,
            }
        }
    }
}
