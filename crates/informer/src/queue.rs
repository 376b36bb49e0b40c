//! A queue of keys to look at again.
//!
//! Follows client-go's util/workqueue: a key that waits is not added twice; one that is being
//! worked on and added again is worked on again afterwards, never at the same time; failures delay
//! a key exponentially, from 5 ms to 1000 s.

use crate::metrics::Metrics;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Instant};
use tokio::sync::Notify;

const FIRST_DELAY: Duration = Duration::from_millis(5);
const DELAY_MAX: Duration = Duration::from_secs(1000);

/// A queue. Clones are the same queue.
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    name: String,
    clock: Clock,
    metrics: Metrics,
    state: Mutex<State<K>>,
    news: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    dirty: BTreeMap<K, Instant>,
    processing: BTreeMap<K, Instant>,
    waiting: BTreeSet<(Instant, K)>,
    due: BTreeMap<K, Instant>,
    failures: BTreeMap<K, u32>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// An empty queue; its counters stand under its name.
    pub fn new(name: &str, clock: Clock, metrics: &Metrics) -> Self {
        metrics.change(name, |_| {});
        let state = State {
            ready: VecDeque::new(),
            dirty: BTreeMap::new(),
            processing: BTreeMap::new(),
            waiting: BTreeSet::new(),
            due: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        let shared = Shared {
            name: name.to_owned(),
            clock,
            metrics: metrics.clone(),
            state: Mutex::new(state),
            news: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Has a key looked at.
    pub fn add(&self, key: K) {
        let now = self.shared.clock.now();
        self.put(&mut self.state(), key, now);
    }

    /// Has a key looked at later. If it waits already, the earlier time holds.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let due = self.shared.clock.now() + delay;
        let mut state = self.state();
        if let Some(known) = state.due.get(&key).copied() {
            if known <= due {
                return;
            }
            state.waiting.remove(&(known, key.clone()));
        }
        state.due.insert(key.clone(), due);
        state.waiting.insert((due, key));
        drop(state);
        self.shared.news.notify_one();
    }

    /// Has a key that failed looked at again, the later the more often it failed.
    pub fn add_rate_limited(&self, key: K) {
        let failures = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures += 1;
            *failures
        };
        self.count(|metrics| metrics.retries += 1);
        let delay = FIRST_DELAY.saturating_mul(1u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
        self.add_after(key, delay.min(DELAY_MAX));
    }

    /// Forgets that a key failed.
    pub fn forget(&self, key: &K) {
        self.state().failures.remove(key);
    }

    /// How often a key failed since it was last forgotten.
    pub fn failures(&self, key: &K) -> u32 {
        self.state().failures.get(key).copied().unwrap_or(0)
    }

    /// How many keys are ready to be looked at.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// Whether no key is ready to be looked at.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for a key and takes it. Whoever takes it must say when it is [`Queue::done`].
    pub async fn get(&self) -> K {
        loop {
            let due = match self.take() {
                Ok(key) => return key,
                Err(due) => due,
            };
            match due {
                None => self.shared.news.notified().await,
                Some(due) => {
                    tokio::select! {
                        biased;
                        () = self.shared.news.notified() => {}
                        () = self.shared.clock.sleep_until(due) => {}
                    }
                }
            }
        }
    }

    /// Says that a key was looked at. If it was added meanwhile, it is ready again.
    pub fn done(&self, key: &K) {
        let now = self.shared.clock.now();
        let mut state = self.state();
        if let Some(since) = state.processing.remove(key) {
            self.count(|metrics| metrics.worked.observe(now - since));
        }
        if state.dirty.contains_key(key) {
            state.ready.push_back(key.clone());
            self.count_depth(&state);
            drop(state);
            self.shared.news.notify_one();
        }
    }

    pub(crate) fn count_panic(&self) {
        self.count(|metrics| metrics.panics += 1);
    }

    /// A ready key, or the time when the next waiting one will be.
    fn take(&self) -> Result<K, Option<Instant>> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        while let Some((due, key)) = state.waiting.first().cloned() {
            if due > now {
                break;
            }
            state.waiting.pop_first();
            state.due.remove(&key);
            self.put(&mut state, key, now);
        }
        let Some(key) = state.ready.pop_front() else {
            return Err(state.waiting.first().map(|(due, _)| *due));
        };
        let added = state.dirty.remove(&key);
        state.processing.insert(key.clone(), now);
        self.count(|metrics| metrics.queued.observe(now - added.unwrap_or(now)));
        self.count_depth(&state);
        if !state.ready.is_empty() {
            self.shared.news.notify_one();
        }
        Ok(key)
    }

    fn put(&self, state: &mut State<K>, key: K, now: Instant) {
        if state.dirty.contains_key(&key) {
            return;
        }
        state.dirty.insert(key.clone(), now);
        self.count(|metrics| metrics.adds += 1);
        if !state.processing.contains_key(&key) {
            state.ready.push_back(key);
            self.count_depth(state);
            self.shared.news.notify_one();
        }
    }

    fn count(&self, change: impl FnOnce(&mut crate::metrics::QueueMetrics)) {
        self.shared.metrics.change(&self.shared.name, change);
    }

    fn count_depth(&self, state: &State<K>) {
        self.count(|metrics| metrics.depth = state.ready.len());
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn queue() -> Queue<&'static str> {
        Queue::new(
            "test",
            Clock::simulated(stdx::Timestamp::UNIX_EPOCH),
            &Metrics::default(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_is_never_worked_on_twice_at_a_time() {
        let queue = queue();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!((queue.get().await, queue.get().await), ("a", "b"));
        queue.add("a");
        assert_eq!(queue.get().now_or_never(), None);
        queue.done(&"a");
        assert_eq!(queue.get().await, "a");
        queue.done(&"a");
        queue.done(&"b");
        assert_eq!(queue.get().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_two_delays_holds() {
        let queue = queue();
        let clock = queue.shared.clock.clone();
        let start = clock.now();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("b", Duration::from_secs(5));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(7));
        assert_eq!((queue.get().await, clock.since(start).as_secs()), ("a", 3));
        assert_eq!((queue.get().await, clock.since(start).as_secs()), ("b", 5));
        queue.done(&"a");
        assert_eq!(queue.get().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_delay_exponentially_until_forgotten() {
        let queue = queue();
        let clock = queue.shared.clock.clone();
        let mut delays = Vec::new();
        for _ in 0..4 {
            let start = clock.now();
            queue.add_rate_limited("a");
            let key = queue.get().await;
            queue.done(&key);
            delays.push(clock.since(start).as_millis());
        }
        assert_eq!(delays, [5, 10, 20, 40]);
        assert_eq!(queue.failures(&"a"), 4);
        queue.forget(&"a");
        let start = clock.now();
        (0..40).for_each(|_| queue.add_rate_limited("b"));
        assert_eq!(queue.get().await, "b");
        assert_eq!(clock.since(start).as_millis(), 5);
    }
}
