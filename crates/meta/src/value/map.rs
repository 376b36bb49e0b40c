//! The entries of an object.

use super::{Str, Value};

/// The entries of an object, sorted by key. Keys are unique; where the same key
/// comes twice, the later value stays (whoever must complain of that does so
/// while reading). Sorting makes equal objects equal bytes, and keeps look-up
/// cheap for a map of a hundred thousand keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Vec<(Str, Value)>,
}

impl Map {
    /// An empty object.
    pub const fn new() -> Self {
        Map {
            entries: Vec::new(),
        }
    }

    /// An empty object with room for `n` entries.
    pub fn with_capacity(n: usize) -> Self {
        Map {
            entries: Vec::with_capacity(n),
        }
    }

    /// From entries in any order; gives each key that came more than once to
    /// `duplicate`, and keeps the last of its values.
    pub fn from_entries(mut entries: Vec<(Str, Value)>, mut duplicate: impl FnMut(&str)) -> Self {
        let is_sorted = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !is_sorted {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    duplicate(&later.0);
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Map { entries }
    }

    /// From entries that are sorted by key already, each key once.
    pub fn from_sorted(entries: Vec<(Str, Value)>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "entries in order");
        Map { entries }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(k, _)| k.as_str().cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().map(|i| &self.entries[i].1)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.position(key).ok().map(|i| &mut self.entries[i].1)
    }

    /// Whether the key is there, be its value null.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_ok()
    }

    /// Sets a key and gives back what it replaced.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.position(&key) {
            Ok(i) => Some(std::mem::replace(&mut self.entries[i].1, value)),
            Err(i) => {
                self.entries.insert(i, (key, value));
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).ok().map(|i| self.entries.remove(i).1)
    }

    /// The value of a key, made null when it is absent.
    pub fn entry(&mut self, key: &str) -> &mut Value {
        let i = self.position(key).unwrap_or_else(|i| {
            self.entries.insert(i, (key.into(), Value::Null));
            i
        });
        &mut self.entries[i].1
    }

    /// The object below a key, made empty when it is absent or something else.
    pub fn object(&mut self, key: &str) -> &mut Map {
        self.entry(key).make_object()
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(k, v)| keep(k, v));
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Value)> + DoubleEndedIterator {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// The entries in order, values to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Str, &mut Value)> {
        self.entries.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Str> {
        self.entries.iter().map(|(k, _)| k)
    }
}

impl IntoIterator for Map {
    type Item = (Str, Value);
    type IntoIter = std::vec::IntoIter<(Str, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    /// Later entries replace earlier ones of the same key.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Map::from_entries(
            iter.into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            |_| {},
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn maps_are_equal_whatever_the_order_of_writing() {
        assert_eq!(value!({"a": 1, "b": 2}), value!({"b": 2, "a": 1}));
        assert_ne!(value!({"a": 1, "b": 2}), value!({"a": 1, "c": 2}));
    }

    #[test]
    fn the_last_of_equal_keys_stays() {
        let mut twice = Vec::new();
        let entries = vec![
            ("b".into(), value!(1)),
            ("a".into(), value!(2)),
            ("b".into(), value!(3)),
        ];
        let map = Map::from_entries(entries, |key| twice.push(key.to_string()));
        assert_eq!(Value::Object(map), value!({"a": 2, "b": 3}));
        assert_eq!(twice, ["b"]);
    }
}
