//! The cache: objects by namespace and name, and by whatever else is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use typed::Typed;

/// Namespace and name. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// What a cache can hold: a typed object, or a loop's own projection of one.
pub trait Cached: Send + Sync + 'static {
    /// Where the object lives.
    fn object_key(&self) -> ObjectKey;
    /// Which state of the object this is.
    fn revision(&self) -> &str;
}

/// A cache of objects. Clones are the same cache; what it hands out is never changed.
pub struct Store<V> {
    shared: Arc<RwLock<Shared<V>>>,
}

/// Objects by a value taken from them.
pub struct Index<V> {
    store: Store<V>,
    name: &'static str,
}

/// How an index finds the values of an object.
pub(crate) type Extract<V> = fn(&V) -> Vec<String>;

struct Shared<V> {
    objects: BTreeMap<ObjectKey, Arc<V>>,
    indexes: BTreeMap<&'static str, IndexData<V>>,
}

struct IndexData<V> {
    extract: Extract<V>,
    keys: BTreeMap<String, BTreeSet<ObjectKey>>,
}

impl ObjectKey {
    /// Puts a key together.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of a typed object.
    pub fn of<T: Typed>(object: &T) -> Self {
        Self::new(object.namespace(), object.name())
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.namespace.is_empty() {
            write!(formatter, "{}/", self.namespace)?;
        }
        formatter.write_str(&self.name)
    }
}

impl<T: Typed> Cached for T {
    fn object_key(&self) -> ObjectKey {
        ObjectKey::of(self)
    }

    fn revision(&self) -> &str {
        self.resource_version()
    }
}

impl<V> Clone for Store<V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<V: Cached> Default for Store<V> {
    fn default() -> Self {
        let shared = Shared {
            objects: BTreeMap::new(),
            indexes: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(RwLock::new(shared)),
        }
    }
}

impl<V: Cached> Store<V> {
    /// An object, if it is known.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<V>> {
        self.by_key(&ObjectKey::new(namespace, name))
    }

    /// An object, if it is known.
    pub fn by_key(&self, key: &ObjectKey) -> Option<Arc<V>> {
        self.read().objects.get(key).cloned()
    }

    /// All objects, by namespace and name.
    pub fn list(&self) -> Vec<Arc<V>> {
        self.read().objects.values().cloned().collect()
    }

    /// The objects of a namespace, by name.
    pub fn namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        let start = ObjectKey::new(namespace, "");
        let read = self.read();
        let found = read
            .objects
            .range(start..)
            .take_while(|(key, _)| key.namespace == namespace);
        found.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes an index, or finds the one that was made under the name before.
    pub fn index(&self, name: &'static str, extract: fn(&V) -> Vec<String>) -> Index<V> {
        let mut shared = self.write();
        if !shared.indexes.contains_key(name) {
            let mut data = IndexData {
                extract,
                keys: BTreeMap::new(),
            };
            shared
                .objects
                .iter()
                .for_each(|(key, object)| data.insert(key, object));
            shared.indexes.insert(name, data);
        }
        drop(shared);
        Index {
            store: self.clone(),
            name,
        }
    }

    /// Puts an object in and returns what was there before.
    pub(crate) fn insert(&self, object: Arc<V>) -> Option<Arc<V>> {
        let key = object.object_key();
        let mut shared = self.write();
        let old = shared.objects.insert(key.clone(), Arc::clone(&object));
        for index in shared.indexes.values_mut() {
            if let Some(old) = &old {
                index.remove(&key, old);
            }
            index.insert(&key, &object);
        }
        old
    }

    pub(crate) fn remove(&self, key: &ObjectKey) -> Option<Arc<V>> {
        let mut shared = self.write();
        let old = shared.objects.remove(key)?;
        shared
            .indexes
            .values_mut()
            .for_each(|index| index.remove(key, &old));
        Some(old)
    }

    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        self.read().objects.keys().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Shared<V>> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shared<V>> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> IndexData<V> {
    fn insert(&mut self, key: &ObjectKey, object: &V) {
        for value in (self.extract)(object) {
            self.keys.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &ObjectKey, object: &V) {
        for value in (self.extract)(object) {
            if let Some(keys) = self.keys.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(&value);
                }
            }
        }
    }
}

impl<V> Clone for Index<V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            name: self.name,
        }
    }
}

impl<V: Cached> Index<V> {
    /// The objects that have the value, by namespace and name.
    pub fn get(&self, value: &str) -> Vec<Arc<V>> {
        let read = self.store.read();
        let keys = read
            .indexes
            .get(self.name)
            .and_then(|index| index.keys.get(value));
        keys.into_iter()
            .flatten()
            .filter_map(|key| read.objects.get(key).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use typed::api::core::v1::Pod;

    fn pod(namespace: &str, name: &str, node: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some(namespace.into());
        pod.metadata.name = Some(name.into());
        pod.spec.get_or_insert_default().node_name = Some(node.into());
        Arc::new(pod)
    }

    fn node(pod: &Pod) -> Vec<String> {
        pod.spec
            .iter()
            .filter_map(|spec| spec.node_name.clone())
            .collect()
    }

    #[test]
    fn indexes_follow_the_objects() {
        let store = Store::default();
        store.insert(pod("a", "1", "x"));
        let by_node = store.index("node", node);
        store.insert(pod("b", "1", "x"));
        store.insert(pod("a", "1", "y"));
        let names = |value: &str| {
            by_node
                .get(value)
                .iter()
                .map(|pod| pod.key())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (names("x"), names("y")),
            (vec!["b/1".to_owned()], vec!["a/1".to_owned()])
        );
        store.remove(&ObjectKey::new("b", "1"));
        assert!(names("x").is_empty());
        assert_eq!(store.namespace("a").len(), 1);
        assert!(store.namespace("b").is_empty());
    }
}
