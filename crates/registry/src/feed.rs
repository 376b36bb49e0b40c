//! Carries what the store commits to the watch caches: one task, one watch of
//! the whole keyspace. Because each commit passes here once and in order, one
//! number says how far all caches are.

use crate::cache::Change;
use crate::keys;
use crate::registry::{Registry, Resource};
use crate::stored::{Stored, Unreadable};
use meta::Status;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, Event, Range, Revision, Span, WatchFrom};

/// How long a request waits for the caches to reach a revision, as upstream does.
const PATIENCE: Duration = Duration::from_secs(3);

/// Follows the store until it closes. Lost history makes the caches start over.
pub(crate) async fn run(registry: Arc<Registry>, mut after: Revision) {
    loop {
        match follow(&registry, after).await {
            Ok(()) => return,
            Err(Lost::Closed) => return,
            Err(Lost::Watch(error)) => {
                tracing::warn!(%error, "the watch of the store broke; starting over")
            }
            Err(Lost::Unreadable(error)) => {
                tracing::error!(%error, "the watch of the store met an unreadable object")
            }
        }
        registry.clock().sleep(Duration::from_millis(200)).await;
        match load(&registry).await {
            Ok(revision) => after = revision,
            Err(error) => tracing::warn!(%error, "reading the store failed; trying again"),
        }
    }
}

enum Lost {
    Closed,
    Watch(store::Error),
    Unreadable(Unreadable),
}

async fn follow(registry: &Registry, after: Revision) -> Result<(), Lost> {
    let span = Span::prefix(keys::ROOT);
    let mut watch = registry
        .store()
        .watch(WatchFrom::new(span, after))
        .await
        .map_err(lost)?;
    registry.set_progress(watch.progress());
    while let Some(batch) = watch.next().await {
        apply(registry, batch.map_err(lost)?).map_err(Lost::Unreadable)?;
    }
    Ok(())
}

fn lost(error: store::Error) -> Lost {
    match error {
        store::Error::Closed => Lost::Closed,
        other => Lost::Watch(other),
    }
}

fn apply(registry: &Registry, batch: Batch) -> Result<(), Unreadable> {
    let mut by_kind: HashMap<Vec<u8>, Vec<Event>> = HashMap::new();
    for event in batch.events {
        let Some(kind) = keys::kind_of(event.key()) else {
            continue;
        };
        by_kind.entry(kind.to_vec()).or_default().push(event);
    }
    for (prefix, events) in by_kind {
        let Some(resource) = registry.stored_as(&prefix) else {
            continue;
        };
        let changes: Result<Vec<Change>, Unreadable> = events
            .into_iter()
            .map(|event| change(&resource, event))
            .collect();
        resource.cache.apply(changes?);
    }
    registry.set_seen(batch.progress);
    Ok(())
}

fn change(resource: &Resource, event: Event) -> Result<Change, Unreadable> {
    Ok(match event.change {
        store::Change::Put { record, .. } => {
            let stored = Stored::read(&*resource.kind, &resource.layout, &record)?;
            Change::Put(Arc::new(stored))
        }
        store::Change::Delete { key, .. } => Change::Delete(key, event.revision),
    })
}

/// Reads every kind into its cache; gives the revision that all of them show.
pub(crate) async fn load(registry: &Registry) -> Result<Revision, Status> {
    let at = registry
        .store()
        .revision()
        .await
        .map_err(crate::failure::store)?;
    for resource in registry.hubs() {
        let range = Range::new(keys::span(&resource.prefix, "")).at(at);
        let range = if at == Revision::ZERO {
            Range::new(keys::span(&resource.prefix, ""))
        } else {
            range
        };
        let page = registry
            .store()
            .range(range)
            .await
            .map_err(crate::failure::store)?;
        let mut objects = Vec::with_capacity(page.records.len());
        for record in &page.records {
            let stored = Stored::read(&*resource.kind, &resource.layout, record);
            objects.push(Arc::new(stored.map_err(Status::internal)?));
        }
        resource.cache.reset(objects, at);
    }
    registry.set_seen(at);
    Ok(at)
}

impl Registry {
    /// Whether the caches show this revision, or come to it in time.
    pub async fn is_caught_up(&self, revision: Revision) -> bool {
        self.wait_seen(revision).await.is_ok()
    }

    /// Waits until the caches show at least this revision.
    pub(crate) async fn wait_seen(&self, revision: Revision) -> Result<(), Status> {
        if self.seen_now() >= revision {
            return Ok(());
        }
        let mut seen = self.seen();
        self.ask_progress();
        let reached = self
            .clock()
            .timeout(PATIENCE, seen.wait_for(|seen| *seen >= revision))
            .await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let current = self.seen_now();
                Err(crate::read::too_large(revision, current))
            }
        }
    }
}
