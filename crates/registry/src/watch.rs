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
    /// With all there is, as ADDED.
    Everything,
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
        };
        match query.start {
            Start::Everything => watcher.begin_with_all(None),
            Start::InitialEvents(revision) => {
                let now = self
                    .store()
                    .revision()
                    .await
                    .map_err(crate::failure::store)?;
                self.wait_seen(now.max(revision)).await?;
                watcher.begin_with_all(Some(()));
            }
            Start::Now => watcher.begin_after(None),
            Start::After(revision) => watcher.begin_after(Some(revision)),
        }
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let notice = watcher.next().await?;
            Some((notice, watcher))
        }))
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
}

impl Watcher {
    fn begin_with_all(&mut self, announce: Option<()>) {
        let seen = *self.registry.seen().borrow();
        let span = keys::span(&self.resource.prefix, &self.selection.namespace);
        let (objects, last, cursor) = self.resource.cache.snapshot(&span);
        self.cursor = Some(cursor);
        for object in &objects {
            if object.is_selected(&self.selection) {
                self.tell(NoticeKind::Added, object, None);
            }
        }
        if announce.is_some() {
            self.ready.push_back(self.bookmark(seen.max(last), true));
        }
    }

    fn begin_after(&mut self, revision: Option<Revision>) {
        let from = match revision {
            Some(revision) => self.resource.cache.cursor_after(revision),
            None => Ok(self.resource.cache.snapshot(&keys::span("\u{0}", "")).2),
        };
        match from {
            Ok(cursor) => self.cursor = Some(cursor),
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
            let seen = *self.registry.seen().borrow();
            match self.resource.cache.read_from(&mut cursor, BATCH) {
                Ok(events) if events.is_empty() => self.wait(seen).await,
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
    async fn wait(&mut self, seen: Revision) {
        let clock = self.registry.clock().clone();
        match self.bookmarks {
            true => match clock.timeout(BOOKMARK_EVERY, self.head.changed()).await {
                Ok(changed) => self.ended = changed.is_err(),
                Err(_) => {
                    let bookmark = self.bookmark(seen, false);
                    self.ready.push_back(bookmark);
                }
            },
            false => self.ended = self.head.changed().await.is_err(),
        }
    }

    /// What an event means to this selection.
    fn take(&mut self, event: &Event) {
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
