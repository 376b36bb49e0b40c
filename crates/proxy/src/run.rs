//! The loop: look again at what somebody says may have changed, plan it,
//! apply what differs; read the kernel back when in doubt.

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use stdx::{Backoff, CancellationToken, Clock, Rng};
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use crate::{
    backend::{Backend, Error},
    health::Health,
    model::{EndpointSlice, Facts, HostPort, Owner, Service},
    state::{Ruleset, State},
};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How often somebody else's changes are looked for.
const CHECK: Duration = Duration::from_secs(60);
/// How long after the last change what it left over is given back.
const SETTLED: Duration = Duration::from_secs(10);

/// Where Services come from: a cache that is always complete.
pub trait Source: Send + Sync + 'static {
    /// Everything that has entries.
    fn owners(&self) -> Vec<Owner>;

    /// A Service and its slices, if it exists.
    fn service(&self, name: &str) -> Option<(Service, Vec<EndpointSlice>)>;

    /// The host ports of a pod of this node, if it runs.
    fn host_ports(&self, pod: &str) -> Option<Vec<HostPort>>;
}

/// A handle by which the loop is told where to look again. Clones are the
/// same handle.
#[derive(Clone, Debug, Default)]
pub struct Dirty {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    everything: bool,
    owners: HashSet<Owner>,
}

/// The proxy of one node and address family.
pub struct Proxy<S, B> {
    source: S,
    backend: Option<B>,
    state: State,
    facts: Facts,
    dirty: Dirty,
    clock: Clock,
    rng: Rng,
    health: Health,
    synced: watch::Sender<u64>,
    /// Whether the backend has what the state says, as far as we know.
    trusted: bool,
    generation: Option<u32>,
    /// Somebody else changed rules since we last read them all.
    disturbed: bool,
    /// Changes may have left something over.
    untidy: bool,
}

impl Dirty {
    /// A Service or one of its slices may have changed.
    pub fn service(&self, name: &str) {
        self.mark(|pending| {
            pending.owners.insert(Owner::Service(name.into()));
        });
    }

    /// A pod's host ports may have changed.
    pub fn pod(&self, name: &str) {
        self.mark(|pending| {
            pending.owners.insert(Owner::Pod(name.into()));
        });
    }

    /// Anything may have changed.
    pub fn everything(&self) {
        self.mark(|pending| pending.everything = true);
    }

    fn mark(&self, mark: impl FnOnce(&mut Pending)) {
        let mut pending = self.lock();
        mark(&mut pending);
        drop(pending);
        self.shared.notify.notify_one();
    }

    fn take(&self) -> Pending {
        mem::take(&mut *self.lock())
    }

    #[cfg(test)]
    pub(crate) fn take_owners(&self) -> Vec<Owner> {
        let mut owners: Vec<Owner> = self.take().owners.into_iter().collect();
        owners.sort();
        owners
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        let lock = self.shared.pending.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source, B: Backend> Proxy<S, B> {
    /// A proxy that has looked at nothing yet and listens to `dirty`.
    pub fn new(source: S, dirty: Dirty, backend: B, facts: Facts, clock: Clock, rng: Rng) -> Self {
        dirty.everything();
        Self {
            source,
            backend: Some(backend),
            state: State::new(facts.clone()),
            facts,
            dirty,
            health: Health::new(clock.clone()),
            clock,
            rng,
            synced: watch::channel(0).0,
            trusted: false,
            generation: None,
            disturbed: false,
            untidy: false,
        }
    }

    /// How many times all that was known was in the kernel; zero means not
    /// yet. Readiness is that this is not zero.
    pub fn synced(&self) -> watch::Receiver<u64> {
        self.synced.subscribe()
    }

    /// What load balancers are told, for whoever serves it.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs until told to stop; it only ends before if a thread of its own
    /// panicked. The rules stay: traffic goes on without us.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX).jitter(0.1);
        loop {
            self.health.begin();
            match self.sync().await {
                Ok(()) => {
                    self.health.done();
                    backoff.reset();
                    self.synced.send_modify(|count| *count += 1);
                    if self.rest(&shutdown).await {
                        return;
                    }
                }
                Err(Error::Panicked) => return,
                Err(error) => {
                    self.trusted = false;
                    let delay = backoff.next(&self.rng);
                    warn!(error = chain(&error), ?delay, "services are not programmed");
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = self.clock.sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// Waits for something to do. Returns whether to stop.
    async fn rest(&mut self, shutdown: &CancellationToken) -> bool {
        let dirty = self.dirty.clone();
        let pause = if self.untidy { SETTLED } else { CHECK };
        tokio::select! {
            () = shutdown.cancelled() => return true,
            () = dirty.shared.notify.notified() => return false,
            () = self.clock.sleep(pause) => {}
        }
        self.check().await;
        // On a machine where others change rules all the time, doubt must not
        // put this off for ever.
        let is_sure = self.trusted || (self.untidy && self.sync().await.is_ok());
        if self.untidy && is_sure {
            self.tidy().await;
        }
        false
    }

    /// Gives back what changes left over.
    async fn tidy(&mut self) {
        self.untidy = false;
        let wanted = self.state.ruleset();
        let tidied = self.blocking(move |backend| {
            backend.tidy(&wanted)?;
            backend.generation()
        });
        match tidied.await {
            Ok(generation) => self.generation = Some(generation),
            Err(error) => {
                warn!(error = chain(&error), "cannot tidy the service rules");
                self.trusted = false;
            }
        }
    }

    /// Doubts the kernel if somebody changed any rules since we last looked.
    async fn check(&mut self) {
        let now = self.blocking(Backend::generation).await;
        if self.disturbed || now.ok() != self.generation {
            self.trusted = false;
        }
    }

    async fn sync(&mut self) -> Result<(), Error> {
        self.look();
        if !self.trusted {
            return self.resync().await;
        }
        let changes = self.state.changes();
        if changes.is_empty() {
            return Ok(());
        }
        let (removed, added) = (changes.remove.len(), changes.add.len());
        debug!(removed, added, "services changed");
        let (before, after) = self
            .blocking(move |backend| {
                let before = backend.generation()?;
                backend.apply(&changes)?;
                backend.forget(&changes.udp)?;
                Ok((before, backend.generation()?))
            })
            .await?;
        // Remembered until the next check, which reads everything back.
        self.disturbed |= self.generation != Some(before);
        self.generation = Some(after);
        self.untidy = true;
        Ok(())
    }

    /// Compares what is there with what should be.
    async fn resync(&mut self) -> Result<(), Error> {
        let wanted = self.state.ruleset();
        let udp = self.state.udp_frontends();
        // What changed is in the ruleset that is about to be applied.
        self.state.changes();
        let generation = self
            .blocking(move |backend| {
                match backend.read()? {
                    Some(found) => adopt(backend, &found, &wanted)?,
                    None => {
                        info!(entries = wanted.entries.len(), "made the service rules");
                        backend.replace(&wanted)?;
                    }
                }
                backend.forget(&udp)?;
                backend.generation()
            })
            .await?;
        self.generation = Some(generation);
        self.disturbed = false;
        self.untidy = true;
        self.trusted = true;
        Ok(())
    }

    /// Plans what may have changed.
    fn look(&mut self) {
        let mut pending = self.dirty.take();
        if pending.everything {
            pending.owners.extend(self.source.owners());
            pending.owners.extend(self.state.owners().cloned());
        }
        for owner in pending.owners {
            self.look_at(owner);
        }
    }

    fn look_at(&mut self, owner: Owner) {
        match &owner {
            Owner::Service(name) => {
                let found = self.source.service(name);
                let known = found.as_ref().map(|(service, slices)| (service, &**slices));
                self.health.look(name, known, &self.facts);
                match known {
                    Some((service, slices)) => self.state.set_service(owner, service, slices),
                    None => self.state.remove(&owner),
                }
            }
            Owner::Pod(name) => match self.source.host_ports(name) {
                Some(ports) => self.state.set_host_ports(owner, &ports),
                None => self.state.remove(&owner),
            },
        }
    }

    /// Runs `work` where it may wait for the kernel.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut B) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut backend = self.backend.take().ok_or(Error::Panicked)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&mut backend);
            (backend, result)
        });
        let (backend, result) = task.await.map_err(|_| Error::Panicked)?;
        self.backend = Some(backend);
        result
    }
}

/// Makes of what was found what should be; if that fails, of nothing.
fn adopt(backend: &mut impl Backend, found: &Ruleset, wanted: &Ruleset) -> Result<(), Error> {
    let changes = found.changes_to(wanted);
    let (removed, added) = (changes.remove.len(), changes.add.len());
    if changes.is_empty() {
        return Ok(());
    }
    info!(removed, added, "corrected the service rules");
    backend.apply(&changes).or_else(|error| {
        warn!(error = chain(&error), "replacing the service rules");
        backend.replace(wanted)
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
