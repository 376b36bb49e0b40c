//! What was written and the cache has not shown yet. A plan made from an older cache would write
//! addresses twice. Follows endpointslice_tracker.go.

use informer::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use typed::Typed;
use typed::api::discovery::v1::EndpointSlice;

/// The generations of slices as we left them, by Service and uid.
#[derive(Default)]
pub(crate) struct Tracker {
    services: Mutex<BTreeMap<ObjectKey, BTreeMap<String, Expected>>>,
    waiting: Mutex<BTreeSet<ObjectKey>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Expected {
    /// To be seen under this name with at least this generation.
    Written {
        name: String,
        generation: i64,
    },
    Deletion,
}

impl Tracker {
    pub(crate) fn expect(&self, service: &ObjectKey, slice: &EndpointSlice) {
        let expected = Expected::Written {
            name: slice.name().to_owned(),
            generation: slice.generation(),
        };
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
                Expected::Written { generation, .. } => {
                    slice.is_none_or(|slice| slice.generation() < *generation)
                }
            }
        })
    }

    /// Slices that were written and are not in the cache: their uids and names.
    pub(crate) fn missing(
        &self,
        service: &ObjectKey,
        slices: &[Arc<EndpointSlice>],
    ) -> Vec<(String, String)> {
        let services = self.services();
        let expected = services.get(service).into_iter().flatten();
        let missing = expected.filter_map(|(uid, expected)| match expected {
            Expected::Written { name, .. } if slices.iter().all(|slice| slice.uid() != uid) => {
                Some((uid.clone(), name.clone()))
            }
            _ => None,
        });
        missing.collect()
    }

    /// The Service wants to be looked at when the cache shows a slice of it, though it be one that
    /// we wrote. Said before the cache is read, so that nothing is shown in between.
    pub(crate) fn wait(&self, service: &ObjectKey) {
        self.waiting().insert(service.clone());
    }

    /// Ends the waiting; says whether there was any.
    pub(crate) fn end_wait(&self, service: &ObjectKey) -> bool {
        self.waiting().remove(service)
    }

    /// Nothing is expected of a slice any more.
    pub(crate) fn forget_slice(&self, service: &ObjectKey, uid: &str) {
        if let Some(slices) = self.services().get_mut(service) {
            slices.remove(uid);
        }
    }

    /// Whether a state of a slice is one that we made, or older.
    pub(crate) fn is_expected(&self, service: &ObjectKey, slice: &EndpointSlice) -> bool {
        match self
            .services()
            .get(service)
            .and_then(|slices| slices.get(slice.uid()))
        {
            Some(Expected::Written { generation, .. }) => slice.generation() <= *generation,
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
        self.waiting().remove(service);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, BTreeMap<String, Expected>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice(uid: &str, generation: i64) -> Arc<EndpointSlice> {
        let value = json!({
            "metadata": {"name": format!("web-{uid}"), "uid": uid, "generation": generation},
            "addressType": "IPv4", "endpoints": [],
        });
        Arc::new(serde_json::from_value(value).expect("a slice"))
    }

    #[test]
    fn what_was_written_is_waited_for() {
        let (tracker, service) = (Tracker::default(), ObjectKey::new("a", "web"));
        tracker.expect(&service, &slice("1", 2));
        tracker.expect(&service, &slice("2", 1));
        let old = [slice("1", 1), slice("2", 1)];
        assert!(tracker.is_stale(&service, &old));
        assert!(tracker.missing(&service, &old).is_empty());
        let new = [slice("1", 2)];
        assert!(tracker.is_stale(&service, &new));
        let missing = vec![("2".to_owned(), "web-2".to_owned())];
        assert_eq!(tracker.missing(&service, &new), missing);
        tracker.forget_slice(&service, "2");
        assert!(!tracker.is_stale(&service, &new));
    }
}
