//! The watch cache of one kind: the objects as they are now, and a ring of
//! what changed lately that all watchers share. A watcher is a cursor into the
//! ring; one that the ring overtakes is told so and starts again.

use crate::stored::{Layout, Stored};
use crate::topics::{Topic, Topics};
use crate::watch::NoticeKind;
use bytes::Bytes;
use std::borrow::Borrow;
use std::cmp::Ordering as Order;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use stdx::latest;
use store::{Revision, Span};

/// The most events that a ring remembers.
const EVENTS_MAX: usize = 8192;
/// The most bytes of superseded objects that a ring keeps alive, as long as it
/// has more than [`EVENTS_MIN`] events.
const WEIGHT_MAX: usize = 4 << 20;
/// The fewest events that a ring remembers, whatever they weigh.
const EVENTS_MIN: usize = 128;

/// What happened to one object.
#[derive(Debug)]
pub struct Event {
    /// The commit.
    pub revision: Revision,
    /// As it is now; `None` when it is gone.
    pub current: Option<Arc<Stored>>,
    /// As it was before.
    pub previous: Option<Arc<Stored>>,
    /// How it is told, once somebody has made that; shared by all watchers.
    frames: Mutex<Option<Box<Frames>>>,
}

/// An event as ADDED, as MODIFIED and as DELETED.
type Frames = [Option<Bytes>; 3];

/// Watchers that are so many events behind make frames of their own.
const FRAMES_KEPT: usize = 128;

impl Event {
    fn new(
        revision: Revision,
        current: Option<Arc<Stored>>,
        previous: Option<Arc<Stored>>,
    ) -> Self {
        Event {
            revision,
            current,
            previous,
            frames: Mutex::default(),
        }
    }

    /// The event as it goes over the wire. `DELETED` shows the object as it was
    /// before, as of now.
    pub(crate) fn frame(&self, kind: NoticeKind, layout: &Layout) -> Option<Bytes> {
        let (slot, object) = match kind {
            NoticeKind::Added => (0, self.current.as_ref()?),
            NoticeKind::Modified => (1, self.current.as_ref()?),
            NoticeKind::Deleted => (2, self.previous.as_ref()?),
            NoticeKind::Bookmark | NoticeKind::Error => return None,
        };
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let frames = frames.get_or_insert_default();
        let made = || frame(kind, object, layout, self.revision);
        Some(frames[slot].get_or_insert_with(made).clone())
    }

    fn drop_frames(&self) {
        *self.frames.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn weight(&self) -> usize {
        self.previous.as_ref().map_or(0, |p| p.weight())
    }
}

/// An object as one event of a watch: `{"type":"ADDED","object":{…}}` and a line's end.
pub(crate) fn frame(kind: NoticeKind, object: &Stored, layout: &Layout, at: Revision) -> Bytes {
    let before = kind.frame_start();
    let mut out = Vec::with_capacity(before.len() + object.whole_len(layout) + 2);
    out.extend_from_slice(before.as_bytes());
    object.write_whole(layout, at, &mut out);
    out.extend_from_slice(b"}\n");
    out.into()
}

/// The objects of one kind and their recent history.
#[derive(Debug)]
pub struct Cache {
    inner: RwLock<Inner>,
    /// The selectable field by which watches are cut into topics.
    pub(crate) indexed: Option<usize>,
    /// The number of the newest event; watchers wait for it to move.
    head: latest::Sender<u64>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    objects: BTreeSet<ByKey>,
    ring: VecDeque<Arc<Event>>,
    /// The number of the first event in the ring.
    first: u64,
    /// Everything after this revision is in the ring.
    horizon: Revision,
    /// The newest event's revision, or the snapshot's.
    last: Revision,
    weight: usize,
    topics: Topics,
}

/// An object, found by its key.
#[derive(Debug)]
struct ByKey(Arc<Stored>);

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Order {
        self.0.key.cmp(&other.0.key)
    }
}

/// Where a watcher stands.
#[derive(Clone, Copy, Debug)]
pub struct Cursor(pub(crate) u64);

/// The ring no longer has what a watcher asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest revision from which one can start.
    pub horizon: Revision,
}

impl Cache {
    /// An empty cache.
    pub fn new(indexed: Option<usize>) -> Self {
        let inner = Inner {
            objects: BTreeSet::new(),
            ring: VecDeque::new(),
            first: 0,
            horizon: Revision::ZERO,
            last: Revision::ZERO,
            weight: 0,
            topics: Topics::default(),
        };
        Cache {
            inner: RwLock::new(inner),
            indexed,
            head: latest::Sender::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the store says has happened, in order.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let head = {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                inner.apply(change, self.indexed);
            }
            inner.first + inner.ring.len() as u64
        };
        self.head.send_replace(head);
    }

    /// Starts over from a snapshot, as after the store's history was lost to
    /// us: every watcher must start again.
    pub fn reset(&self, objects: Vec<Arc<Stored>>, revision: Revision) {
        let head = {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.objects = objects.into_iter().map(ByKey).collect();
            inner.first += inner.ring.len() as u64 + 1;
            inner.ring.clear();
            inner.weight = 0;
            inner.horizon = revision;
            inner.last = revision;
            let first = inner.first;
            inner.topics.reset(first);
            first
        };
        self.head.send_replace(head);
    }

    /// One object.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Stored>> {
        self.read().objects.get(key).map(|found| found.0.clone())
    }

    /// The objects of a span in key order, how many there are with those that
    /// `keep` does not keep, the revision of the last change among all, and the
    /// cursor behind it.
    pub fn snapshot(&self, span: &Span, keep: impl Fn(&Stored) -> bool) -> Snapshot {
        let inner = self.read();
        let end = span
            .end
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let range = inner
            .objects
            .range::<[u8], _>((Bound::Included(&*span.start), end));
        let mut total = 0;
        let kept = range.filter(|ByKey(object)| {
            total += 1;
            keep(object)
        });
        let objects = kept.map(|ByKey(object)| object.clone()).collect();
        Snapshot {
            objects,
            total,
            last: inner.last,
            cursor: inner.end(),
        }
    }

    /// The cursor behind all that has happened.
    pub fn cursor_now(&self) -> Cursor {
        self.read().end()
    }

    /// The cursor from which all that happened after a revision follows.
    pub fn cursor_after(&self, revision: Revision) -> Result<Cursor, TooOld> {
        let inner = self.read();
        if revision < inner.horizon {
            return Err(TooOld {
                horizon: inner.horizon,
            });
        }
        let skip = inner
            .ring
            .partition_point(|event| event.revision <= revision);
        Ok(Cursor(inner.first + skip as u64))
    }

    /// What of a topic a cursor has not seen, up to `max` events; moves the cursor.
    pub fn read_from(
        &self,
        topic: &Topic,
        cursor: &mut Cursor,
        max: usize,
    ) -> Result<Vec<Arc<Event>>, TooOld> {
        let inner = self.read();
        if *topic != Topic::All {
            return inner.topics.read_from(topic, cursor, max, inner.horizon);
        }
        let Some(skip) = cursor.0.checked_sub(inner.first) else {
            return Err(TooOld {
                horizon: inner.horizon,
            });
        };
        let from = inner.ring.len().min(skip as usize);
        let events: Vec<_> = inner.ring.range(from..).take(max).cloned().collect();
        cursor.0 += events.len() as u64;
        Ok(events)
    }

    /// Tells when there is something new of a topic. Comes before the cursor:
    /// what happens between the two is not lost.
    pub fn subscribe(&self, topic: &Topic) -> latest::Receiver<u64> {
        if *topic == Topic::All {
            return self.head.subscribe();
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        let (first, next) = (inner.first, inner.end().0);
        let numbered = (first..).zip(&inner.ring);
        inner
            .topics
            .subscribe(topic.clone(), self.indexed, numbered, first, next)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all watches: the kind is served no more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.head.send_modify(|_| {});
        self.read().topics.wake();
    }

    /// Whether [`Cache::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// What a cache holds at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The objects that were kept.
    pub objects: Vec<Arc<Stored>>,
    /// How many there are with the others.
    pub total: usize,
    /// The revision of the last change.
    pub last: Revision,
    /// The cursor behind it.
    pub cursor: Cursor,
}

/// One change as the feed brings it.
#[derive(Debug)]
pub enum Change {
    /// The object is now this.
    Put(Arc<Stored>),
    /// The object of this key is gone since this commit.
    Delete(Bytes, Revision),
}

impl Inner {
    fn end(&self) -> Cursor {
        Cursor(self.first + self.ring.len() as u64)
    }

    fn apply(&mut self, change: Change, indexed: Option<usize>) {
        let event = match change {
            Change::Put(object) => {
                let previous = self.objects.replace(ByKey(object.clone()));
                Event::new(object.revision, Some(object), previous.map(|ByKey(o)| o))
            }
            Change::Delete(key, revision) => {
                let Some(ByKey(previous)) = self.objects.take(&*key) else {
                    return;
                };
                Event::new(revision, None, Some(previous))
            }
        };
        self.last = event.revision;
        self.weight += event.weight();
        let event = Arc::new(event);
        let number = self.end().0;
        self.ring.push_back(event.clone());
        if let Some(old) = self.ring.len().checked_sub(FRAMES_KEPT + 1) {
            self.ring[old].drop_frames();
        }
        while self.ring.len() > EVENTS_MAX
            || (self.weight > WEIGHT_MAX && self.ring.len() > EVENTS_MIN)
        {
            if let Some(gone) = self.ring.pop_front() {
                self.first += 1;
                self.horizon = gone.revision;
                self.weight -= gone.weight();
            }
        }
        self.topics.push(number, &event, self.first, indexed);
    }
}
