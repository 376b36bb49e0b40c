//! A map that forgets what was touched longest ago.

use indexmap::IndexMap;

/// Follows client-go's record cache.
const ENTRIES_MAX: usize = 4096;

/// A bounded map from strings.
pub(super) struct Recent<V> {
    entries: IndexMap<String, (u64, V)>,
    touches: u64,
}

impl<V> Recent<V> {
    pub(super) fn new() -> Self {
        Self {
            entries: IndexMap::new(),
            touches: 0,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Puts a value; if there are too many, the oldest half goes, so that the search for the oldest
    /// is paid seldom.
    pub(super) fn put(&mut self, key: String, value: V) {
        self.touches += 1;
        self.entries.insert(key, (self.touches, value));
        if self.entries.len() > ENTRIES_MAX {
            let horizon = self.touches - (ENTRIES_MAX / 2) as u64;
            self.entries.retain(|_, (touched, _)| *touched > horizon);
        }
    }
}
