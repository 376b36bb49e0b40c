//! Trees of objects that admission looks at again and again: the namespace and
//! the service account of every new pod, priority classes, limit ranges. They
//! are decoded once for each revision.

use crate::registry::Resource;
use crate::stored::Stored;
use crate::written;
use bytes::Bytes;
use meta::{Status, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::Revision;

/// The most trees that are kept.
const TREES_MAX: usize = 512;
/// Objects whose bytes are longer than this are decoded anew each time: trees
/// are several times as large.
const BYTES_MAX: usize = 8 * 1024;

/// The trees, by key.
#[derive(Default)]
pub(crate) struct Decoded(Mutex<HashMap<Bytes, (Revision, Arc<Value>)>>);

impl Decoded {
    /// The tree of an object as it is served in the version that is stored.
    pub(crate) fn get(&self, resource: &Resource, stored: &Stored) -> Result<Arc<Value>, Status> {
        if let Some((revision, tree)) = self.trees().get(&stored.key)
            && *revision == stored.revision
        {
            return Ok(tree.clone());
        }
        let value = stored.to_value(resource.hub()).map_err(Status::internal)?;
        let tree = Arc::new(written::serve(resource, value));
        // Pods are many, and are looked at once.
        if resource.card().plural != "pods" && stored.weight() <= BYTES_MAX {
            self.keep(stored, tree.clone());
        }
        Ok(tree)
    }

    fn keep(&self, stored: &Stored, tree: Arc<Value>) {
        let mut trees = self.trees();
        if trees.len() >= TREES_MAX && !trees.contains_key(&stored.key) {
            trees.clear();
        }
        trees.insert(stored.key.clone(), (stored.revision, tree));
    }

    fn trees(&self) -> std::sync::MutexGuard<'_, HashMap<Bytes, (Revision, Arc<Value>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
