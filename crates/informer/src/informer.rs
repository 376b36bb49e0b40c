//! A cache that tells of its changes.

use crate::store::{Cached, Index, ObjectKey, Store};
use bytes::Bytes;
use codec::pick;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stdx::latest;
use typed::DecodeError;

/// What happened to an object: it has an old state, a new one, or both.
pub struct Change<V> {
    /// What was known before.
    pub old: Option<Arc<V>>,
    /// What is known now.
    pub new: Option<Arc<V>>,
}

/// A cache and those who want to know of its changes. Clones are the same informer.
pub struct Informer<V> {
    inner: Arc<Inner<V>>,
}

type Decode<V> = Box<dyn Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync>;
type Handler<V> = Box<dyn Fn(&Change<V>) + Send>;

struct Inner<V> {
    store: Store<V>,
    decode: Decode<V>,
    handlers: Mutex<Vec<Handler<V>>>,
    synced: latest::Sender<bool>,
}

impl<V> Change<V> {
    /// The newest state that is known.
    ///
    /// # Panics
    /// If there is none, which no informer reports.
    pub fn object(&self) -> &Arc<V> {
        match (&self.new, &self.old) {
            (Some(object), _) | (None, Some(object)) => object,
            (None, None) => unreachable!("a change without states"),
        }
    }

    /// The states that are known, old before new.
    pub fn states(&self) -> impl Iterator<Item = &Arc<V>> {
        self.old.iter().chain(&self.new)
    }

    /// Whether the object went.
    pub fn is_removal(&self) -> bool {
        self.new.is_none()
    }
}

impl<V> Clone for Informer<V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<V: Cached> Informer<V> {
    /// An empty informer whose objects are read by `decode`; a reflector fills it. They come without
    /// `managedFields`: no loop reads these, and to decode them costs more than the rest.
    pub fn new(decode: impl Fn(&[u8]) -> Result<V, DecodeError> + Send + Sync + 'static) -> Self {
        let inner = Inner {
            store: Store::default(),
            decode: Box::new(decode),
            handlers: Mutex::default(),
            synced: latest::Sender::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The cache.
    pub fn store(&self) -> Store<V> {
        self.inner.store.clone()
    }

    /// An index of the cache; see [`Store::index`].
    pub fn index(&self, name: &'static str, extract: fn(&V) -> Vec<String>) -> Index<V> {
        self.inner.store.index(name, extract)
    }

    /// Has a handler told of every change from now on, after it was told of what is there already.
    /// Handlers run within the update: they put keys into queues and do nothing else.
    pub fn on_change(&self, handler: impl Fn(&Change<V>) + Send + 'static) {
        let mut handlers = self.handlers();
        for object in self.inner.store.list() {
            handler(&Change {
                old: None,
                new: Some(object),
            });
        }
        handlers.push(Box::new(handler));
    }

    /// Waits until the cache holds what the server had when the informer began.
    pub async fn synced(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self
            .inner
            .synced
            .subscribe()
            .wait_for(|synced| *synced)
            .await;
    }

    /// Whether the cache holds what the server had when the informer began.
    pub fn is_synced(&self) -> bool {
        self.inner.synced.get()
    }

    fn handlers(&self) -> MutexGuard<'_, Vec<Handler<V>>> {
        self.inner
            .handlers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an object, without what no loop reads of any.
    fn decode(&self, object: &[u8]) -> Result<V, DecodeError> {
        (self.inner.decode)(&pick::without(object, "metadata", "managedFields"))
    }

    fn insert(&self, handlers: &[Handler<V>], object: Arc<V>) {
        let old = self.inner.store.insert(Arc::clone(&object));
        if old
            .as_ref()
            .is_some_and(|old| !old.revision().is_empty() && old.revision() == object.revision())
        {
            return;
        }
        tell(
            handlers,
            &Change {
                old,
                new: Some(object),
            },
        );
    }

    fn remove(&self, handlers: &[Handler<V>], key: &ObjectKey) {
        if let Some(old) = self.inner.store.remove(key) {
            tell(
                handlers,
                &Change {
                    old: Some(old),
                    new: None,
                },
            );
        }
    }
}

fn tell<V>(handlers: &[Handler<V>], change: &Change<V>) {
    handlers.iter().for_each(|handler| handler(change));
}

/// What a reflector does to an informer, whatever its objects are.
pub(crate) trait Sink: Send + Sync {
    /// These are all objects there are.
    fn replace(&self, objects: &[Bytes]) -> Result<(), DecodeError>;
    /// This object is new or changed; returns its revision.
    fn upsert(&self, object: &Bytes) -> Result<String, DecodeError>;
    /// This object is gone; returns the revision of its going.
    fn delete(&self, object: &Bytes) -> Result<String, DecodeError>;
}

impl<V: Cached> Sink for Informer<V> {
    fn replace(&self, objects: &[Bytes]) -> Result<(), DecodeError> {
        let objects = objects
            .iter()
            .map(|bytes| self.decode(bytes).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let handlers = self.handlers();
        let present: BTreeSet<ObjectKey> =
            objects.iter().map(|object| object.object_key()).collect();
        for key in self.inner.store.keys() {
            if !present.contains(&key) {
                self.remove(&handlers, &key);
            }
        }
        objects
            .into_iter()
            .for_each(|object| self.insert(&handlers, object));
        self.inner.synced.send_replace(true);
        Ok(())
    }

    fn upsert(&self, object: &Bytes) -> Result<String, DecodeError> {
        let object = Arc::new(self.decode(object)?);
        let revision = object.revision().to_owned();
        self.insert(&self.handlers(), object);
        Ok(revision)
    }

    fn delete(&self, object: &Bytes) -> Result<String, DecodeError> {
        let object = self.decode(object)?;
        self.remove(&self.handlers(), &object.object_key());
        Ok(object.revision().to_owned())
    }
}
