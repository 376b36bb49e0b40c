//! Watches every resource that can be deleted, and notices when resources come and go.

use super::graph::Graph;
use super::node::Facts;
use crate::context::Context;
use client::{ApiResource, Client, Gvr, ListOptions};
use futures::future::join_all;
use informer::{Change, Informer, Reflector};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Importance, Rng, Supervisor, latest};
use tokio::sync::Notify;

const REFRESH: Duration = Duration::from_secs(30);
/// How long after a kind was missed to look for it.
const SOON: Duration = Duration::from_secs(1);
/// Nobody owns these, and they come in great numbers.
const IGNORED: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// The watches, and what discovery said.
pub(super) struct Monitors {
    client: Client,
    clock: Clock,
    rng: Rng,
    supervisor: Supervisor,
    graph: Arc<Mutex<Graph>>,
    state: Mutex<State>,
    discovered: latest::Sender<bool>,
    /// Somebody named a kind that discovery has not told of.
    missed: Notify,
}

#[derive(Default)]
struct State {
    /// Resources by API group and kind.
    kinds: BTreeMap<(String, String), ApiResource>,
    running: BTreeMap<Gvr, Monitor>,
}

#[derive(Clone)]
struct Monitor {
    informer: Informer<Facts>,
    supervisor: Supervisor,
}

impl Monitors {
    pub(super) fn new(context: &Context, graph: Arc<Mutex<Graph>>) -> Self {
        Self {
            client: context.client.clone(),
            clock: context.clock.clone(),
            rng: context.rng.fork(),
            supervisor: context.supervisor.child("garbage collector monitors"),
            graph,
            state: Mutex::default(),
            discovered: latest::Sender::new(false),
            missed: Notify::new(),
        }
    }

    /// Looks for new resources from time to time, soon again while some cannot be seen, and
    /// sooner when a kind is named that may just have been defined.
    pub(super) async fn run(&self) {
        loop {
            let complete = self.refresh().await;
            let pause = if complete { REFRESH } else { REFRESH / 10 };
            let missed = self.clock.timeout(pause, self.missed.notified()).await;
            if missed.is_ok() {
                self.clock.sleep(SOON).await;
            }
        }
    }

    /// Waits until all resources that discovery told of are seen.
    pub(super) async fn synced(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .discovered
            .subscribe()
            .wait_for(|discovered| *discovered)
            .await;
        let monitors: Vec<Monitor> = self.state().running.values().cloned().collect();
        join_all(monitors.iter().map(|monitor| monitor.informer.synced())).await;
    }

    /// The resource of a kind, in the version that the server prefers.
    pub(super) fn resource_of(&self, api_version: &str, kind: &str) -> Option<ApiResource> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let named = (group.to_owned(), kind.to_owned());
        let found = self.state().kinds.get(&named).cloned();
        if found.is_none() {
            self.missed.notify_one();
        }
        found
    }

    /// Returns whether everything could be seen.
    async fn refresh(&self) -> bool {
        let discovery = match self.client.discover().await {
            Ok(discovery) => discovery,
            Err(error) => {
                tracing::warn!(
                    error = error.message(),
                    "garbage collector cannot discover resources"
                );
                return false;
            }
        };
        for (group, error) in &discovery.failures {
            tracing::warn!(
                group,
                error = error.message(),
                "garbage collector cannot see a group"
            );
        }
        let complete = discovery.failures.is_empty();
        self.take(discovery.resources, complete).await;
        self.discovered.send_replace(true);
        complete
    }

    async fn take(&self, resources: Vec<ApiResource>, complete: bool) {
        let kinds = resources.iter().map(|resource| {
            (
                (resource.gvr.group.to_string(), resource.kind.clone()),
                resource.clone(),
            )
        });
        let wanted: BTreeMap<Gvr, bool> = resources
            .iter()
            .filter(|resource| {
                ["delete", "list", "watch"]
                    .iter()
                    .all(|verb| resource.can(verb))
            })
            .filter(|resource| !IGNORED.contains(&(&*resource.gvr.group, &*resource.gvr.resource)))
            .map(|resource| (resource.gvr.clone(), resource.namespaced))
            .collect();
        let ended = {
            let mut state = self.state();
            if complete {
                state.kinds.clear();
            }
            state.kinds.extend(kinds);
            for (gvr, namespaced) in &wanted {
                state
                    .running
                    .entry(gvr.clone())
                    .or_insert_with(|| self.watch(gvr, *namespaced));
            }
            // What a failed group holds is not known to be gone.
            let gone: Vec<Gvr> = state
                .running
                .keys()
                .filter(|gvr| complete && !wanted.contains_key(gvr))
                .cloned()
                .collect();
            gone.into_iter()
                .filter_map(|gvr| state.running.remove(&gvr))
                .collect::<Vec<_>>()
        };
        for monitor in ended {
            monitor.supervisor.shutdown(Duration::ZERO).await;
        }
    }

    fn watch(&self, gvr: &Gvr, namespaced: bool) -> Monitor {
        let informer = Informer::new(Facts::decode);
        let (graph, of) = (Arc::clone(&self.graph), Arc::new(gvr.clone()));
        informer.on_change(move |change: &Change<Facts>| {
            graph
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(&of, namespaced, change);
        });
        let resource = self.client.resource(gvr.clone(), namespaced);
        let reflector = Reflector::new(
            resource,
            ListOptions::default(),
            &informer,
            self.clock.clone(),
            self.rng.fork(),
        );
        let supervisor = self.supervisor.child(&gvr.to_string());
        supervisor.spawn("monitor", Importance::Ordinary, reflector.run());
        Monitor {
            informer,
            supervisor,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
