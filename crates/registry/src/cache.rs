//! The watch cache of one kind: the objects as they are now, and a ring of
//! what changed lately that all watchers share. A watcher is a cursor into the
//! ring; one that the ring overtakes is told so and starts again.

use crate::stored::Stored;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use store::{Revision, Span};
use tokio::sync::watch;

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
}

impl Event {
    fn weight(&self) -> usize {
        self.previous.as_ref().map_or(0, |p| p.weight())
    }
}

/// The objects of one kind and their recent history.
#[derive(Debug)]
pub struct Cache {
    inner: RwLock<Inner>,
    /// The number of the newest event; watchers wait for it to move.
    head: watch::Sender<u64>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    objects: BTreeMap<Bytes, Arc<Stored>>,
    ring: VecDeque<Arc<Event>>,
    /// The number of the first event in the ring.
    first: u64,
    /// Everything after this revision is in the ring.
    horizon: Revision,
    /// The newest event's revision, or the snapshot's.
    last: Revision,
    weight: usize,
}

/// Where a watcher stands.
#[derive(Clone, Copy, Debug)]
pub struct Cursor(u64);

/// The ring no longer has what a watcher asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest revision from which one can start.
    pub horizon: Revision,
}

impl Cache {
    /// A cache that holds what the store had at a revision.
    pub fn new(objects: Vec<Arc<Stored>>, revision: Revision) -> Self {
        let inner = Inner {
            objects: objects.into_iter().map(|o| (o.key.clone(), o)).collect(),
            ring: VecDeque::new(),
            first: 0,
            horizon: revision,
            last: revision,
            weight: 0,
        };
        Cache {
            inner: RwLock::new(inner),
            head: watch::Sender::new(0),
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
                inner.apply(change);
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
            inner.objects = objects.into_iter().map(|o| (o.key.clone(), o)).collect();
            inner.first += inner.ring.len() as u64 + 1;
            inner.ring.clear();
            inner.weight = 0;
            inner.horizon = revision;
            inner.last = revision;
            inner.first
        };
        self.head.send_replace(head);
    }

    /// One object.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Stored>> {
        self.read().objects.get(key).cloned()
    }

    /// The objects of a span in key order, the revision of the last change
    /// among all, and the cursor behind it.
    pub fn snapshot(&self, span: &Span) -> (Vec<Arc<Stored>>, Revision, Cursor) {
        let inner = self.read();
        let end = span
            .end
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let range = inner
            .objects
            .range::<[u8], _>((Bound::Included(&*span.start), end));
        let objects = range.map(|(_, object)| object.clone()).collect();
        (
            objects,
            inner.last,
            Cursor(inner.first + inner.ring.len() as u64),
        )
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

    /// What a cursor has not seen, up to `max` events; moves the cursor.
    pub fn read_from(&self, cursor: &mut Cursor, max: usize) -> Result<Vec<Arc<Event>>, TooOld> {
        let inner = self.read();
        let Some(skip) = cursor.0.checked_sub(inner.first) else {
            return Err(TooOld {
                horizon: inner.horizon,
            });
        };
        let events: Vec<_> = inner
            .ring
            .iter()
            .skip(skip as usize)
            .take(max)
            .cloned()
            .collect();
        cursor.0 += events.len() as u64;
        Ok(events)
    }

    /// Tells when there is something new.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
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
    }

    /// Whether [`Cache::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
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
    fn apply(&mut self, change: Change) {
        let event = match change {
            Change::Put(object) => Event {
                revision: object.revision,
                previous: self.objects.insert(object.key.clone(), object.clone()),
                current: Some(object),
            },
            Change::Delete(key, revision) => {
                let Some(previous) = self.objects.remove(&key) else {
                    return;
                };
                Event {
                    revision,
                    previous: Some(previous),
                    current: None,
                }
            }
        };
        self.last = event.revision;
        self.weight += event.weight();
        self.ring.push_back(Arc::new(event));
        while self.ring.len() > EVENTS_MAX
            || (self.weight > WEIGHT_MAX && self.ring.len() > EVENTS_MIN)
        {
            if let Some(gone) = self.ring.pop_front() {
                self.first += 1;
                self.horizon = gone.revision;
                self.weight -= gone.weight();
            }
        }
    }
}
