//! How cases of kinds are written: what goes in, what must come out.

use crate::kind::{Door, Kind};
use meta::{Errors, Field, Value, time};

fn lines(errors: &Errors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

/// A new object, as given (defaults are not applied), has just these errors.
#[track_caller]
pub fn check_valid(kind: &dyn Kind, object: Value, expected: &[&str]) {
    let mut errors = Errors::new();
    kind.validate(&Field::root(&object), &mut errors);
    assert_eq!(lines(&errors), expected);
}

/// A change has just these errors.
#[track_caller]
pub fn check_update(kind: &dyn Kind, old: &Value, new: Value, expected: &[&str]) {
    let mut errors = Errors::new();
    kind.validate_update(
        &Field::root(&new),
        &Field::root(old),
        Door::Main,
        &mut errors,
    );
    assert_eq!(lines(&errors), expected);
}

/// Defaulting turns one into the other.
#[track_caller]
pub fn check_default(kind: &dyn Kind, mut object: Value, expected: Value) {
    kind.default(&mut object);
    assert_eq!(object, expected, "\n got {object}\nwant {expected}");
}

/// The cells of an object at a moment.
#[track_caller]
pub fn check_columns(kind: &dyn Kind, object: &Value, now: &str, expected: &[&str]) {
    let now = time::parse(now).expect("a time");
    let cells: Vec<String> = kind
        .cells(object, now)
        .iter()
        .map(|cell| cell.as_str().map_or_else(|| cell.to_json(), str::to_string))
        .collect();
    assert_eq!(cells, expected);
    assert_eq!(
        cells.len(),
        kind.columns().len(),
        "one cell for each column"
    );
}
