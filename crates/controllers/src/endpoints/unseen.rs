//! Endpoints that were written and that the cache has not shown yet. A plan made from an older
//! cache could find nothing to do though there is.
//!
//! Upstream retries instead, and gives up after a while (`staleEndpointsTracker`).

use informer::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is to be shown, by Service.
#[derive(Default)]
pub(super) struct Unseen(Mutex<State>);

#[derive(Default)]
struct State {
    /// The resource versions that were replaced; empty where there was nothing.
    replaced: BTreeMap<ObjectKey, String>,
    /// Services that want to be looked at when their Endpoints are shown.
    waiting: BTreeSet<ObjectKey>,
}

impl Unseen {
    /// Something is about to be written. Said before the cache is read, so that nothing is shown
    /// in between.
    pub(super) fn wait(&self, key: &ObjectKey) {
        self.state().waiting.insert(key.clone());
    }

    /// Ends the waiting; says whether there was any.
    pub(super) fn end_wait(&self, key: &ObjectKey) -> bool {
        self.state().waiting.remove(key)
    }

    /// What the cache held in this version was replaced.
    pub(super) fn note_replaced(&self, key: &ObjectKey, resource_version: &str) {
        let mut state = self.state();
        let replaced = &mut state.replaced;
        replaced.insert(key.clone(), resource_version.to_owned());
    }

    /// Whether the cache still holds what was replaced.
    pub(super) fn is_stale(&self, key: &ObjectKey, resource_version: &str) -> bool {
        let state = self.state();
        let replaced = state.replaced.get(key);
        replaced.is_some_and(|replaced| replaced == resource_version)
    }

    /// Nothing is to be shown any more.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let mut state = self.state();
        state.replaced.remove(key);
        state.waiting.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
