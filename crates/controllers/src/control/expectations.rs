//! What a controller has asked for and its cache has not shown yet. Until it has, acting on the
//! cache would ask twice. Follows ControllerExpectations in pkg/controller/controller_utils.go.

use informer::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Instant};

/// An event that does not come for so long was missed; the cache is believed again.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The open expectations of a controller's keys. Clones share them.
#[derive(Clone)]
pub(crate) struct Expectations {
    clock: Clock,
    open: Arc<Mutex<BTreeMap<ObjectKey, Open>>>,
}

struct Open {
    creations: usize,
    deletions: BTreeSet<ObjectKey>,
    since: Instant,
}

impl Expectations {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            open: Arc::default(),
        }
    }

    /// So many objects will appear.
    pub(crate) fn expect_creations(&self, key: &ObjectKey, count: usize) {
        let since = self.clock.now();
        self.open().insert(
            key.clone(),
            Open {
                creations: count,
                deletions: BTreeSet::new(),
                since,
            },
        );
    }

    /// These objects will go.
    pub(crate) fn expect_deletions(
        &self,
        key: &ObjectKey,
        objects: impl IntoIterator<Item = ObjectKey>,
    ) {
        let since = self.clock.now();
        let deletions = objects.into_iter().collect();
        self.open().insert(
            key.clone(),
            Open {
                creations: 0,
                deletions,
                since,
            },
        );
    }

    /// So many objects have appeared, or never will.
    pub(crate) fn creations_observed(&self, key: &ObjectKey, count: usize) {
        if let Some(open) = self.open().get_mut(key) {
            open.creations = open.creations.saturating_sub(count);
        }
    }

    /// An object is going or gone, or never will be.
    pub(crate) fn deletion_observed(&self, key: &ObjectKey, object: &ObjectKey) {
        if let Some(open) = self.open().get_mut(key) {
            open.deletions.remove(object);
        }
    }

    /// Whether the cache can be believed.
    pub(crate) fn satisfied(&self, key: &ObjectKey) -> bool {
        self.time_left(key).is_none()
    }

    /// How long the cache will not be believed if it shows nothing more. An object that came and
    /// went between two watches is never shown: whoever waits for it has to look again then, for
    /// nothing else may ever happen to the key. (Upstream leaves that to the informers' resync.)
    pub(crate) fn time_left(&self, key: &ObjectKey) -> Option<Duration> {
        let now = self.clock.now();
        let open = self.open();
        let open = open.get(key)?;
        let left = TIMEOUT.saturating_sub(now - open.since);
        let is_met = open.creations == 0 && open.deletions.is_empty();
        (!is_met && !left.is_zero()).then_some(left)
    }

    /// Nothing is expected for a key that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.open().remove(key);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cache_is_believed_when_it_has_shown_all_or_time_is_up() {
        let clock = Clock::simulated(stdx::Timestamp::UNIX_EPOCH);
        let expectations = Expectations::new(clock.clone());
        let (key, pod) = (ObjectKey::new("a", "rs"), ObjectKey::new("a", "pod"));
        assert!(expectations.satisfied(&key));
        expectations.expect_creations(&key, 2);
        expectations.creations_observed(&key, 1);
        assert!(!expectations.satisfied(&key));
        expectations.creations_observed(&key, 1);
        assert!(expectations.satisfied(&key));
        expectations.expect_deletions(&key, [pod.clone()]);
        assert!(!expectations.satisfied(&key));
        expectations.deletion_observed(&key, &pod);
        assert!(expectations.satisfied(&key));
        expectations.expect_creations(&key, 1);
        clock.sleep(Duration::from_secs(10)).await;
        let left = expectations.time_left(&key).unwrap_or_default();
        assert_eq!(left, TIMEOUT - Duration::from_secs(10));
        clock.sleep(left).await;
        assert!(expectations.satisfied(&key));
    }
}
