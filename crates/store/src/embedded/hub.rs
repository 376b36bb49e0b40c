//! Watchers: each has a queue that commits fill. A watcher whose queue is
//! full lags, and reads what it missed from the log until it has caught up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::{Event, Revision, Span};

/// All watchers of a store.
#[derive(Debug, Default)]
pub(super) struct Hub {
    watchers: Vec<Weak<Watcher>>,
}

/// The store's side of a watch.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) span: Span,
    bound: usize,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: Vec<Event>,
    /// The revision after which events were not queued.
    lagging: Option<Revision>,
    /// Whether somebody asked for progress.
    asked: bool,
}

/// What a watcher's queue had.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    pub(super) lagging: Option<Revision>,
    pub(super) asked: bool,
}

impl Hub {
    /// Adds a watcher. Without `lagging` it must know everything up to the
    /// current revision.
    pub(super) fn add(
        &mut self,
        span: Span,
        lagging: Option<Revision>,
        bound: usize,
    ) -> Arc<Watcher> {
        let queue = Queue {
            lagging,
            ..Queue::default()
        };
        let watcher = Arc::new(Watcher {
            span,
            bound,
            queue: Mutex::new(queue),
            wake: Notify::new(),
        });
        self.watchers.retain(|other| other.strong_count() > 0);
        self.watchers.push(Arc::downgrade(&watcher));
        watcher
    }

    /// Gives the events of whole commits to those who watch their keys.
    pub(super) fn dispatch(&mut self, events: &[Event]) {
        for watcher in &self.watchers {
            if let Some(watcher) = watcher.upgrade() {
                watcher.push(events);
            }
        }
    }

    /// How many watchers there are.
    pub(super) fn len(&self) -> usize {
        self.watchers
            .iter()
            .filter(|watcher| watcher.strong_count() > 0)
            .count()
    }
}

impl Watcher {
    /// Takes what the queue has.
    pub(super) fn take(&self) -> Taken {
        let mut queue = self.queue();
        Taken {
            events: std::mem::take(&mut queue.events),
            lagging: queue.lagging,
            asked: std::mem::take(&mut queue.asked),
        }
    }

    /// Notes that the watcher has read everything up to the revision that is
    /// current, which the caller keeps from changing.
    pub(super) fn caught_up(&self) {
        self.queue().lagging = None;
    }

    /// Asks the watcher to tell how far it is.
    pub(super) fn ask(&self) {
        self.queue().asked = true;
        self.wake.notify_one();
    }

    /// Waits until there may be something to take.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn push(&self, events: &[Event]) {
        let mut mine = events
            .iter()
            .filter(|event| self.span.contains(event.key()))
            .peekable();
        let Some(first) = mine.peek() else {
            return;
        };
        let before = Revision(first.revision.0 - 1);
        let mut queue = self.queue();
        if queue.lagging.is_some() {
            return;
        }
        if queue.events.len() >= self.bound {
            queue.lagging = Some(before);
        } else {
            queue.events.extend(mine.cloned());
        }
        drop(queue);
        self.wake.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
