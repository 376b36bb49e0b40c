//! Has pods looked at again: by uid, from wherever something changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who waits for which pod.
#[derive(Default)]
pub struct Wakes {
    pods: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Wakes {
    /// A worker waits for a pod.
    pub fn register(&self, uid: &str) -> Arc<Notify> {
        let mut pods = self.pods();
        Arc::clone(pods.entry(uid.to_owned()).or_default())
    }

    /// Nobody waits any more.
    pub fn unregister(&self, uid: &str) {
        self.pods().remove(uid);
    }

    /// Has one pod looked at.
    pub fn wake(&self, uid: &str) {
        if let Some(notify) = self.pods().get(uid) {
            notify.notify_one();
        }
    }

    /// Has all pods looked at.
    pub fn wake_all(&self) {
        self.pods().values().for_each(|notify| notify.notify_one());
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
