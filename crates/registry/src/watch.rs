//! Watch: what happens to the objects of a selection, as a stream.

use crate::cache::{self, Cursor, Event, TooOld};
use crate::registry::{Registry, Resource};
use crate::stored::{Selection, Stored};
use crate::topics::Topic;
use crate::{keys, written};
use bytes::Bytes;
use futures::Stream;
use meta::{Reason, Status, Value, value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use stdx::latest;
use store::Revision;

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
    /// All of it as it goes over the wire: `{"type":"ADDED","object":{…}}` and
    /// a line's end.
    pub frame: Bytes,
}

impl Notice {
    /// Of an object that is JSON already.
    pub fn new(kind: NoticeKind, object: &[u8]) -> Self {
        let before = kind.frame_start();
        let mut out = Vec::with_capacity(before.len() + object.len() + 2);
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"}\n");
        Notice::of_frame(kind, out.into())
    }

    pub(crate) fn of_frame(kind: NoticeKind, frame: Bytes) -> Self {
        let object = frame.slice(kind.frame_start().len()..frame.len() - 2);
        Notice {
            kind,
            object,
            frame,
        }
    }
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

    /// What stands before the object.
    pub(crate) fn frame_start(self) -> &'static str {
        match self {
            NoticeKind::Added => "{\"type\":\"ADDED\",\"object\":",
            NoticeKind::Modified => "{\"type\":\"MODIFIED\",\"object\":",
            NoticeKind::Deleted => "{\"type\":\"DELETED\",\"object\":",
            NoticeKind::Bookmark => "{\"type\":\"BOOKMARK\",\"object\":",
            NoticeKind::Error => "{\"type\":\"ERROR\",\"object\":",
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
        let namespaced = resource.card().namespaced;
        let indexed = resource.cache.indexed;
        let topic = query.selection.topic(&resource.prefix, namespaced, indexed);
        let mut watcher = Watcher {
            head: resource.cache.subscribe(&topic),
            topic,
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
    topic: Topic,
    head: latest::Receiver<u64>,
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
        let selection = &self.selection;
        let snapshot = self
            .resource
            .cache
            .snapshot(&span, |object| object.is_selected(selection));
        self.cursor = Some(snapshot.cursor);
        for object in &snapshot.objects {
            let notice = self.as_added(object);
            self.ready.push_back(notice);
        }
        if announce {
            self.ready
                .push_back(self.bookmark(seen.max(snapshot.last), true));
        }
    }

    fn begin_after(&mut self, revision: Option<Revision>) {
        let from = match revision {
            Some(revision) => self.resource.cache.cursor_after(revision),
            None => Ok(self.resource.cache.cursor_now()),
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
            self.head.see();
            match self
                .resource
                .cache
                .read_from(&self.topic, &mut cursor, BATCH)
            {
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
        let next = self.resource.cache.read_from(&self.topic, &mut cursor, 1);
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
        let kind = match (was_in, is_in) {
            (None, Some(_)) => NoticeKind::Added,
            (Some(_), Some(_)) => NoticeKind::Modified,
            (Some(_), None) => NoticeKind::Deleted,
            (None, None) => return,
        };
        let notice = match (self.resource.kind.hub(), was_in, is_in) {
            (None, ..) => {
                let frame = event.frame(kind, &self.resource.layout);
                frame.map(|frame| Notice::of_frame(kind, frame))
            }
            (Some(_), _, Some(object)) => Some(self.converted(kind, object, object.revision)),
            (Some(_), Some(object), None) => Some(self.converted(kind, object, event.revision)),
            (Some(_), None, None) => None,
        };
        self.ready.extend(notice);
    }

    fn as_added(&self, object: &Stored) -> Notice {
        let (kind, at) = (NoticeKind::Added, object.revision);
        match self.resource.kind.hub() {
            None => Notice::of_frame(kind, cache::frame(kind, object, &self.resource.layout, at)),
            Some(_) => self.converted(kind, object, at),
        }
    }

    /// In the form in which this resource serves what is stored as another kind.
    fn converted(&self, kind: NoticeKind, object: &Stored, at: Revision) -> Notice {
        match object.to_value(self.resource.hub()) {
            Ok(value) => {
                let mut out = Vec::with_capacity(1024);
                written::serve_at(&self.resource, value, Some(at)).write_object(&mut out);
                Notice::new(kind, &out)
            }
            Err(unreadable) => error(&Status::internal(unreadable)),
        }
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
        codec::complete(&mut object, &card.schema);
        let mut out = Vec::new();
        object.write_object(&mut out);
        Notice::new(NoticeKind::Bookmark, &out)
    }
}

fn error(status: &Status) -> Notice {
    let mut out = Vec::new();
    status.to_value().write_object(&mut out);
    Notice::new(NoticeKind::Error, &out)
}
