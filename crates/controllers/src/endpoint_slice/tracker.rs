//! What was written and the cache has not shown yet. A plan made from an older cache would write
//! addresses twice. Follows endpointslice_tracker.go.

use informer::ObjectKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use typed::Typed;
use typed::api::discovery::v1::EndpointSlice;

/// The generations of slices as we left them, by Service and uid.
#[derive(Default)]
pub(crate) struct Tracker {
    services: Mutex<BTreeMap<ObjectKey, BTreeMap<String, Expected>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Generation(i64),
    Deletion,
}

impl Tracker {
    pub(crate) fn expect(&self, service: &ObjectKey, slice: &EndpointSlice) {
        let expected = Expected::Generation(slice.generation());
        self.services()
            .entry(service.clone())
            .or_default()
            .insert(slice.uid().to_owned(), expected);
    }

    pub(crate) fn expect_deletion(&self, service: &ObjectKey, slice: &EndpointSlice) {
        self.services()
            .entry(service.clone())
            .or_default()
            .insert(slice.uid().to_owned(), Expected::Deletion);
    }

    /// Whether a slice in the cache is older than what was written, is missing, or is still there
    /// though it was deleted.
    pub(crate) fn is_stale(&self, service: &ObjectKey, slices: &[Arc<EndpointSlice>]) -> bool {
        let services = self.services();
        let Some(expected) = services.get(service) else {
            return false;
        };
        expected.iter().any(|(uid, expected)| {
            let slice = slices.iter().find(|slice| slice.uid() == uid);
            match expected {
                Expected::Deletion => slice.is_some_and(|slice| !slice.is_deleting()),
                Expected::Generation(generation) => {
                    slice.is_none_or(|slice| slice.generation() < *generation)
                }
            }
        })
    }

    /// Whether a state of a slice is one that we made, or older.
    pub(crate) fn is_expected(&self, service: &ObjectKey, slice: &EndpointSlice) -> bool {
        match self
            .services()
            .get(service)
            .and_then(|slices| slices.get(slice.uid()))
        {
            Some(Expected::Generation(generation)) => slice.generation() <= *generation,
            Some(Expected::Deletion) => true,
            None => false,
        }
    }

    /// Whether we deleted a slice that is gone now; in any case nothing is expected of it further.
    pub(crate) fn is_expected_deletion(&self, service: &ObjectKey, slice: &EndpointSlice) -> bool {
        let mut services = self.services();
        let expected = services
            .get_mut(service)
            .and_then(|slices| slices.remove(slice.uid()));
        expected == Some(Expected::Deletion)
    }

    pub(crate) fn forget(&self, service: &ObjectKey) {
        self.services().remove(service);
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, BTreeMap<String, Expected>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
