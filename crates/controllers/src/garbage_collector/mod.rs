//! Objects whose owners are gone, go; objects whose owners shall go first or last, wait or are left
//! behind, as their deletion asked.
//!
//! Follows pkg/controller/garbagecollector: a graph of all objects, kept by watching every resource
//! that can be deleted; a queue of objects that may have to go, and one of owners whose dependents
//! are to be orphaned. The graph only says where to look: before anything is deleted, the server is
//! asked about the object and each of its owners.

mod collect;
mod graph;
mod monitors;
mod node;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use collect::Collector;
use graph::Graph;
use informer::{Queue, Workers};
use monitors::Monitors;
use std::sync::{Arc, Mutex};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "garbage-collector-controller",
    identity: "generic-garbage-collector",
    rules: &[
        Rule::new(
            &["*"],
            &["*"],
            &["delete", "get", "list", "patch", "update", "watch"],
        ),
        EVENTS,
    ],
    start,
};

/// The finalizer of objects whose dependents go before them.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of objects whose dependents are left behind.
pub(super) const ORPHAN: &str = "orphan";

fn start(context: &Context) {
    let deletions = Queue::new(
        "garbage_collector_attempt_to_delete",
        context.clock.clone(),
        &context.metrics,
    );
    let orphanings = Queue::new(
        "garbage_collector_attempt_to_orphan",
        context.clock.clone(),
        &context.metrics,
    );
    let graph = Graph::new(deletions.clone(), orphanings.clone());
    let graph = Arc::new(Mutex::new(graph));
    let monitors = Arc::new(Monitors::new(context, Arc::clone(&graph)));
    let collector = Arc::new(Collector::new(
        context.client.clone(),
        graph,
        Arc::clone(&monitors),
    ));
    let refresh = Arc::clone(&monitors);
    context.spawn("monitors", async move { refresh.run().await });
    let deleter: Arc<dyn informer::Reconcile<String>> =
        Arc::new(collect::Deleter(Arc::clone(&collector)));
    let orphaner: Arc<dyn informer::Reconcile<String>> = Arc::new(collect::Orphaner(collector));
    let synced = Arc::clone(&monitors);
    context.reconcile(
        deletions,
        Workers::new(20),
        async move { synced.synced().await },
        deleter,
    );
    context.reconcile(
        orphanings,
        Workers::new(20),
        async move { monitors.synced().await },
        orphaner,
    );
}
