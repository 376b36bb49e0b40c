//! Labels in the form that matching wants: sorted, immutable, shared between
//! equal owners, each pair with its hash.
//!
//! A pair's hash leads from a pod to the selectors that ask for that very pair,
//! so that a cycle looks at the selectors that may match and not at all.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashSet, FxHasher};

/// The labels of one object.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    pairs: Box<[(Box<str>, Box<str>)]>,
    hashes: Box<[u64]>,
}

impl Labels {
    /// The labels of a map.
    pub fn from_map(map: Option<&BTreeMap<String, String>>) -> Self {
        let pairs: Box<[(Box<str>, Box<str>)]> = map
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect();
        let hashes = pairs.iter().map(|(key, value)| pair_hash(key, value));
        let hashes = hashes.collect();
        Self { pairs, hashes }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(have, _)| **have == *key)?;
        Some(value)
    }

    /// The hashes of all pairs, as [`pair_hash`] makes them.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// The hash of one pair. Equal hashes only suggest equal pairs.
pub fn pair_hash(key: &str, value: &str) -> u64 {
    let mut hasher = FxHasher::default();
    (key, value).hash(&mut hasher);
    hasher.finish()
}

/// One copy of each distinct value, for as long as somebody holds it.
#[derive(Debug)]
pub struct Shared<T> {
    values: FxHashSet<Arc<T>>,
    sweep_at: usize,
}

const SWEEP_MIN: usize = 1024;

impl<T: Eq + Hash> Shared<T> {
    /// The shared copy of `value`.
    pub fn share(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.values.get(&value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = SWEEP_MIN.max(self.values.len() * 2);
        }
        let value = Arc::new(value);
        self.values.insert(Arc::clone(&value));
        value
    }
}

/// One copy of each distinct name, likewise.
#[derive(Debug, Default)]
pub struct Names {
    names: FxHashSet<Arc<str>>,
    sweep_at: usize,
}

impl Names {
    /// The shared copy of `name`.
    pub fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= self.sweep_at {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.sweep_at = SWEEP_MIN.max(self.names.len() * 2);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: FxHashSet::default(),
            sweep_at: SWEEP_MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_kept_once_and_forgotten_when_unused() {
        let mut shared = Shared::default();
        let first = shared.share(String::from("a"));
        assert!(Arc::ptr_eq(&first, &shared.share(String::from("a"))));
        for n in 0..3 * SWEEP_MIN {
            shared.share(n.to_string());
        }
        assert!(shared.values.len() <= SWEEP_MIN + 1);
        assert!(Arc::ptr_eq(&first, &shared.share(String::from("a"))));
    }
}
