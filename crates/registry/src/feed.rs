//! Carries what the store commits to the watch caches: one task, one watch of
//! the whole keyspace. Because each commit passes here once and in order, one
//! number says how far all caches are.

use crate::cache::Change;
use crate::registry::{Registry, Resource};
use crate::stored::Stored;
use crate::{custom, keys};
use meta::Status;
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, Event, Range, Record, Revision, Span, WatchFrom};

/// How long a request waits for the caches to reach a revision, as upstream does.
const PATIENCE: Duration = Duration::from_secs(3);

/// Follows the store until it closes. Lost history makes the caches start over.
pub(crate) async fn run(registry: Arc<Registry>, mut after: Revision) {
    loop {
        match follow(&registry, after).await {
            Ok(()) => return,
            Err(Lost::Closed) => return,
            Err(Lost::Custom(error)) => {
                tracing::warn!(
                    error = error.message,
                    "reading custom resources failed; starting over"
                )
            }
            Err(Lost::Watch(error)) => {
                tracing::warn!(%error, "the watch of the store broke; starting over")
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
    Custom(Status),
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
        let batch = batch.map_err(lost)?;
        let at = batch.progress;
        let defines = batch.events.iter().any(|e| custom::is_definition(e.key()));
        apply(registry, batch);
        if defines {
            custom::settle(registry, Some(at))
                .await
                .map_err(Lost::Custom)?;
        }
    }
    Ok(())
}

fn lost(error: store::Error) -> Lost {
    match error {
        store::Error::Closed => Lost::Closed,
        other => Lost::Watch(other),
    }
}

fn apply(registry: &Registry, batch: Batch) {
    // Events of one kind mostly come together.
    let mut events = batch.events.into_iter().peekable();
    while let Some(event) = events.next() {
        let Some(prefix) = keys::kind_of(event.key()).map(<[u8]>::to_vec) else {
            continue;
        };
        let Some(resource) = registry.stored_as(&prefix) else {
            continue;
        };
        let mut changes = Vec::with_capacity(1);
        changes.extend(change(&resource, event));
        while let Some(event) = events.next_if(|e| keys::kind_of(e.key()) == Some(&*prefix)) {
            changes.extend(change(&resource, event));
        }
        resource.cache.apply(changes);
    }
    registry.set_seen(batch.progress);
}

/// What an event means to the cache. An object that cannot be read is left
/// out: others shall not suffer for it, and whoever asks for it is told.
fn change(resource: &Resource, event: Event) -> Option<Change> {
    match event.change {
        store::Change::Put { record, .. } => readable(resource, &record).map(Change::Put),
        store::Change::Delete { key, .. } => Some(Change::Delete(key, event.revision)),
    }
}

fn readable(resource: &Resource, record: &Record) -> Option<Arc<Stored>> {
    match Stored::read(&*resource.kind, &resource.layout, record) {
        Ok(stored) => Some(Arc::new(stored)),
        Err(error) => {
            tracing::error!(%error, "an object is damaged; lists and watches leave it out");
            None
        }
    }
}

/// Reads every kind into its cache; gives the revision that all of them show.
pub(crate) async fn load(registry: &Registry) -> Result<Revision, Status> {
    let at = registry
        .store()
        .revision()
        .await
        .map_err(crate::failure::store)?;
    // What is defined says which other kinds there are.
    if let Some(definitions) = custom::definitions(registry) {
        fill(registry, &definitions, at).await?;
    }
    custom::settle(registry, None).await?;
    for resource in registry.hubs() {
        fill(registry, &resource, at).await?;
    }
    registry.set_seen(at);
    Ok(at)
}

/// Reads all objects of a kind at a revision into its cache.
pub(crate) async fn fill(
    registry: &Registry,
    resource: &Resource,
    at: Revision,
) -> Result<(), Status> {
    let range = Range::new(keys::span(&resource.prefix, ""));
    let range = if at == Revision::ZERO {
        range
    } else {
        range.at(at)
    };
    let page = registry
        .store()
        .range(range)
        .await
        .map_err(crate::failure::store)?;
    let records = page.records.iter();
    let objects = records.filter_map(|record| readable(resource, record));
    resource.cache.reset(objects.collect(), at);
    Ok(())
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
