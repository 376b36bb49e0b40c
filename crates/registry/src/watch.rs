//! Watch: what happens to the objects of a selection, as a stream.

use crate::cache::{Cursor, Event, TooOld};
use crate::registry::{Registry, Resource};
use crate::stored::{Selection, Stored};
use crate::{keys, written};
use bytes::Bytes;
use futures::Stream;
use meta::{Reason, Status, Value, value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use store::Revision;
use tokio::sync::watch;

/// How often a watcher that asked for bookmarks gets one, at least.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How many events a watcher takes from the ring at once.
const BATCH: usize = 256;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With all there is, as ADDED; as fresh as can be, or whatever is at hand.
    Everything {
        /// Nothing that was written before may be missing.
        fresh: bool,
    },
    /// With all there is, and a bookmark that says so (`sendInitialEvents`),
    /// not older than a revision.
    InitialEvents(Revision),
    /// After a revision.
    After(Revision),
    /// With what happens from now on.
    Now,
}

/// What a watch asks.
#[derive(Debug)]
pub struct WatchQuery {
    /// Which objects.
    pub selection: Selection,
    /// From where on.
    pub start: Start,
    /// Whether to send bookmarks.
    pub bookmarks: bool,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// The object, whole; for an error, the Status.
    pub object: Bytes,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// It came into the selection.
    Added,
    /// It changed within.
    Modified,
    /// It left.
    Deleted,
    /// Nothing; but all up to here was sent.
    Bookmark,
    /// The watch ends, and why.
    Error,
}

impl NoticeKind {
    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::Added => "ADDED",
            NoticeKind::Modified => "MODIFIED",
            NoticeKind::Deleted => "DELETED",
            NoticeKind::Bookmark => "BOOKMARK",
            NoticeKind::Error => "ERROR",
        }
    }
}

impl Registry {
    /// Begins a watch. The stream ends after an error notice, or when the kind
    /// is served no more.
    pub async fn watch(
        self: &Arc<Self>,
        resource: Arc<Resource>,
        query: WatchQuery,
    ) -> Result<impl Stream<Item = Notice> + Send + use<>, Status> {
        let mut watcher = Watcher {
            head: resource.cache.subscribe(),
            registry: self.clone(),
            cursor: None,
            ready: VecDeque::new(),
            resource,
            selection: query.selection,
            bookmarks: query.bookmarks,
            ended: false,
            floor: Revision::ZERO,
        };
        match query.start {
            Start::Everything { fresh } => {
                if fresh {
                    self.wait_now(Revision::ZERO).await?;
                }
                watcher.begin_with_all(false);
            }
            Start::InitialEvents(revision) => {
                self.wait_now(revision).await?;
                watcher.begin_with_all(query.bookmarks);
            }
            Start::Now => watcher.begin_after(None),
            Start::After(revision) => watcher.begin_after(Some(revision)),
        }
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let notice = watcher.next().await?;
            Some((notice, watcher))
        }))
    }

    /// Waits until the caches show all that was written, and a revision.
    async fn wait_now(&self, revision: Revision) -> Result<(), Status> {
        let now = self.store().revision().await;
        let now = now.map_err(crate::failure::store)?;
        self.wait_seen(now.max(revision)).await
    }
}

struct Watcher {
    registry: Arc<Registry>,
    resource: Arc<Resource>,
    selection: Selection,
    head: watch::Receiver<u64>,
    cursor: Option<Cursor>,
    ready: VecDeque<Notice>,
    bookmarks: bool,
    ended: bool,
    /// What happened up to here is not told, though it has yet to happen.
    floor: Revision,
}

impl Watcher {
    fn begin_with_all(&mut self, announce: bool) {
        let seen = self.registry.seen_now();
        let span = keys::span(&self.resource.prefix, &self.selection.namespace);
        let (objects, last, cursor) = self.resource.cache.snapshot(&span);
        self.cursor = Some(cursor);
        for object in &objects {
            if object.is_selected(&self.selection) {
                self.tell(NoticeKind::Added, object, None);
            }
        }
        if announce {
            self.ready.push_back(self.bookmark(seen.max(last), true));
        }
    }

    fn begin_after(&mut self, revision: Option<Revision>) {
        let from = match revision {
            Some(revision) => self.resource.cache.cursor_after(revision),
            None => Ok(self.resource.cache.snapshot(&keys::span("\u{0}", "")).2),
        };
        match from {
            Ok(cursor) => {
                self.cursor = Some(cursor);
                self.floor = revision.unwrap_or_default();
            }
            Err(too_old) => self.fail(revision.unwrap_or_default(), too_old),
        }
    }

    fn fail(&mut self, revision: Revision, too_old: TooOld) {
        let message = format!("too old resource version: {revision} ({})", too_old.horizon);
        self.ready
            .push_back(error(&Status::new(Reason::Expired, message)));
        self.cursor = None;
    }

    async fn next(&mut self) -> Option<Notice> {
        loop {
            if let Some(notice) = self.ready.pop_front() {
                return Some(notice);
            }
            let mut cursor = self.cursor?;
            if self.resource.cache.is_closed() || self.ended {
                return None;
            }
            // Marked as seen before reading, so that nothing slips between.
            self.head.borrow_and_update();
            match self.resource.cache.read_from(&mut cursor, BATCH) {
                Ok(events) if events.is_empty() => self.wait().await,
                Ok(events) => {
                    self.cursor = Some(cursor);
                    for event in events {
                        self.take(&event);
                    }
                }
                Err(too_old) => self.fail(Revision::ZERO, too_old),
            }
        }
    }

    /// Waits for something new; with bookmarks on, no longer than a minute.
    async fn wait(&mut self) {
        let clock = self.registry.clock().clone();
        match self.bookmarks {
            true => match clock.timeout(BOOKMARK_EVERY, self.head.changed()).await {
                Ok(changed) => self.ended = changed.is_err(),
                Err(_) => self.mark(),
            },
            false => self.ended = self.head.changed().await.is_err(),
        }
    }

    /// Says how far all is told, when all is.
    fn mark(&mut self) {
        let seen = self.registry.seen_now();
        let Some(mut cursor) = self.cursor else {
            return;
        };
        let next = self.resource.cache.read_from(&mut cursor, 1);
        if next.is_ok_and(|events| events.is_empty()) {
            let bookmark = self.bookmark(seen.max(self.floor), false);
            self.ready.push_back(bookmark);
        }
    }

    /// What an event means to this selection.
    fn take(&mut self, event: &Event) {
        if event.revision <= self.floor {
            return;
        }
        let is_in = event
            .current
            .as_ref()
            .filter(|o| o.is_selected(&self.selection));
        let was_in = event
            .previous
            .as_ref()
            .filter(|o| o.is_selected(&self.selection));
        match (was_in, is_in) {
            (None, Some(object)) => self.tell(NoticeKind::Added, object, None),
            (Some(_), Some(object)) => self.tell(NoticeKind::Modified, object, None),
            (Some(object), None) => self.tell(NoticeKind::Deleted, object, Some(event.revision)),
            (None, None) => {}
        }
    }

    fn tell(&mut self, kind: NoticeKind, object: &Stored, at: Option<Revision>) {
        let hub = self.resource.hub();
        let object = match (self.resource.kind.hub(), at) {
            (None, None) => object.whole(hub),
            (None, Some(at)) => object.whole_at(hub, at),
            (Some(_), at) => match self.converted(object, at) {
                Ok(bytes) => bytes,
                Err(status) => return self.ready.push_back(error(&status)),
            },
        };
        self.ready.push_back(Notice { kind, object });
    }

    fn converted(&self, object: &Stored, at: Option<Revision>) -> Result<Bytes, Status> {
        let value = object
            .to_value(self.resource.hub())
            .map_err(Status::internal)?;
        let at = at.unwrap_or(object.revision);
        Ok(written::Written::new(&self.resource, value, Some(at), false).to_bytes())
    }

    fn bookmark(&self, revision: Revision, initial: bool) -> Notice {
        let card = self.resource.card();
        let mut object: Value = value!({
            "kind": card.kind, "apiVersion": card.group_version().to_string(),
            "metadata": {"resourceVersion": revision.to_string()}
        });
        if initial {
            object.set_at(
                &["metadata", "annotations", "k8s.io/initial-events-end"],
                "true",
            );
        } else {
            object.set_at(&["metadata", "creationTimestamp"], Value::Null);
        }
        codec::complete(&mut object, card.schema);
        let mut out = Vec::new();
        object.write_object(&mut out);
        Notice {
            kind: NoticeKind::Bookmark,
            object: out.into(),
        }
    }
}

fn error(status: &Status) -> Notice {
    let mut out = Vec::new();
    status.to_value().write_object(&mut out);
    Notice {
        kind: NoticeKind::Error,
        object: out.into(),
    }
}
