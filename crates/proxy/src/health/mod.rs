//! What load balancers ask a node: whether its proxy keeps up, and how many
//! endpoints of a Service are here (`healthCheckNodePort`).
//!
//! Follows pkg/proxy/healthcheck: a proxy is healthy unless a change waits for
//! longer than a minute to be in the kernel; a node that is about to go takes
//! no new traffic, but answers for its Services as before.

mod serve;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use stdx::{Clock, Instant, Timestamp};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{AbortHandle, JoinSet},
};
use tracing::warn;

use crate::model::{EndpointSlice, Facts, Service};
use serve::Answer;

/// How long a change may wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long until a port that was taken is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The health of one proxy. Clones are the same.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Since when a change waits.
    waiting: Option<Instant>,
    /// When all was done last.
    updated: Option<Timestamp>,
    /// The node is about to go.
    node_goes: bool,
    /// Services whose health is asked for, by `namespace/name`.
    services: BTreeMap<Arc<str>, Asked>,
    /// What becomes of them when the kernel has what follows.
    coming: BTreeMap<Arc<str>, Option<Asked>>,
}

/// A Service whose health is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    port: u16,
    /// Its endpoints on this node.
    endpoints: usize,
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// Tells whether the node is about to go: it is being deleted, or the
    /// cluster autoscaler has marked it.
    pub fn set_node_goes(&self, goes: bool) {
        self.state().node_goes = goes;
    }

    /// A Service is this now, or is gone.
    pub(crate) fn look(
        &self,
        name: &Arc<str>,
        service: Option<(&Service, &[EndpointSlice])>,
        facts: &Facts,
    ) {
        let asked = service.and_then(|(service, slices)| {
            Some(Asked {
                port: service.health_check_port?,
                endpoints: local_ready(slices, facts),
            })
        });
        self.state().coming.insert(name.clone(), asked);
    }

    /// Changes are about to be brought to the kernel.
    pub(crate) fn begin(&self) {
        let now = self.shared.clock.now();
        self.state().waiting.get_or_insert(now);
    }

    /// The kernel has all changes.
    pub(crate) fn done(&self) {
        let now = self.shared.clock.wall();
        let mut state = self.state();
        state.waiting = None;
        state.updated = Some(now);
        let coming = mem::take(&mut state.coming);
        let mut is_news = false;
        for (name, asked) in coming {
            let before = match asked {
                Some(asked) => state.services.insert(name, asked),
                None => state.services.remove(&name),
            };
            is_news |= before.map(|before| before.port) != asked.map(|asked| asked.port);
        }
        drop(state);
        if is_news {
            self.shared.changed.notify_one();
        }
    }

    /// Whether the kernel has, or will soon have, what was asked for.
    fn is_healthy(&self) -> bool {
        let now = self.shared.clock.now();
        let waiting = self.state().waiting;
        waiting.is_none_or(|since| now - since < PATIENCE)
    }

    /// Answers on the port of each Service until dropped.
    pub async fn serve_services(self) {
        let mut open: BTreeMap<(Arc<str>, u16), AbortHandle> = BTreeMap::new();
        let mut servers = JoinSet::new();
        loop {
            let wanted = self.wanted();
            open.retain(|key, server| {
                let is_wanted = wanted.contains(key);
                if !is_wanted {
                    server.abort();
                }
                is_wanted
            });
            // A server that was told to end has its port until it is gone.
            while servers.len() > open.len() && servers.join_next().await.is_some() {}
            let mut all_open = true;
            for key in wanted {
                if open.contains_key(&key) {
                    continue;
                }
                match self.open(&key).await {
                    Some(server) => {
                        open.insert(key, servers.spawn(server));
                    }
                    None => all_open = false,
                }
            }
            let retry = async {
                match all_open {
                    true => std::future::pending().await,
                    false => self.shared.clock.sleep(RETRY).await,
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = retry => {}
            }
        }
    }

    fn wanted(&self) -> BTreeSet<(Arc<str>, u16)> {
        let state = self.state();
        let all = state.services.iter();
        all.map(|(name, asked)| (name.clone(), asked.port))
            .collect()
    }

    async fn open(
        &self,
        (name, port): &(Arc<str>, u16),
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let (health, name) = (self.clone(), name.clone());
                let clock = self.shared.clock.clone();
                let answer = move |_: &str| health.of_service(&name);
                Some(serve::serve(listener, clock, answer))
            }
            Err(error) => {
                warn!(service = %name, port, %error, "the health of a service cannot be asked for");
                None
            }
        }
    }

    /// Answers for the proxy as a whole until dropped.
    pub async fn serve_node(self, address: SocketAddr) {
        let mut is_told = false;
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) if !is_told => {
                    warn!(%address, %error, "the health of the proxy cannot be asked for");
                    is_told = true;
                }
                Err(_) => {}
            }
            self.shared.clock.sleep(RETRY).await;
        };
        let clock = self.shared.clock.clone();
        serve::serve(listener, clock, move |path: &str| self.of_node(path)).await;
    }

    fn of_service(&self, name: &str) -> Answer {
        let is_healthy = self.is_healthy();
        let asked = self.state().services.get(name).copied();
        let endpoints = asked.map_or(0, |asked| asked.endpoints);
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": {namespace:?},\n\t\t\"name\": {name:?}\n\t}},\n\t\"localEndpoints\": {endpoints},\n\t\"serviceProxyHealthy\": {is_healthy}\n}}"
        );
        Answer::new(is_healthy && endpoints > 0, body).weight(endpoints)
    }

    fn of_node(&self, path: &str) -> Answer {
        let is_healthy = self.is_healthy();
        let now = self.shared.clock.wall();
        let state = self.state();
        let (is_good, more) = match path {
            "/healthz" => (
                is_healthy && !state.node_goes,
                format!(", \"nodeEligible\": {}", !state.node_goes),
            ),
            "/livez" => (is_healthy, String::new()),
            _ => return Answer::absent(),
        };
        // A proxy that keeps up is as new as now, whether or not it had work.
        let updated = if is_good { Some(now) } else { state.updated };
        let (updated, now) = (go_time(updated), go_time(Some(now)));
        let body = format!("{{\"lastUpdated\": {updated:?},\"currentTime\": {now:?}{more}}}");
        Answer::new(is_good, body)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let locked = self.shared.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of this node's endpoints that take connections.
fn local_ready(slices: &[EndpointSlice], facts: &Facts) -> usize {
    let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    let here = endpoints.filter(|endpoint| {
        endpoint.conditions.ready && endpoint.node.as_deref() == Some(&*facts.node)
    });
    let addresses: BTreeSet<&IpAddr> = here
        .filter_map(|endpoint| endpoint.addresses.first())
        .filter(|address| facts.covers(**address))
        .collect();
    addresses.len()
}

/// A time as Go prints it; before all times if absent.
fn go_time(time: Option<Timestamp>) -> String {
    match time {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string(),
        None => "0001-01-01 00:00:00 +0000 UTC".to_owned(),
    }
}
