//! Names of custom kinds for as long as the process lives. A card names its
//! kind in plain texts, because built-in cards are constants; what a
//! CustomResourceDefinition is called is kept once for each name ever used.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The one copy of a name.
pub(super) fn name(text: &str) -> &'static str {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_with(HashSet::new);
    if let Some(known) = names.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into());
    names.insert(kept);
    kept
}

/// A list of names, kept once for each list ever used.
pub(super) fn names(texts: &[&str]) -> &'static [&'static str] {
    static LISTS: Mutex<Option<HashSet<&'static [&'static str]>>> = Mutex::new(None);
    let list: Vec<&'static str> = texts.iter().map(|text| name(text)).collect();
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    let lists = lists.get_or_insert_with(HashSet::new);
    if let Some(known) = lists.get(list.as_slice()) {
        return known;
    }
    let kept: &'static [&'static str] = Box::leak(list.into_boxed_slice());
    lists.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn equal_names_are_one() {
        let (a, b) = (super::name("crontabs"), super::name("crontabs"));
        assert!(std::ptr::eq(a, b));
        let (a, b) = (super::names(&["a", "b"]), super::names(&["a", "b"]));
        assert!(std::ptr::eq(a, b));
    }
}
