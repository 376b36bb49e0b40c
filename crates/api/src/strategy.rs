//! What the strategies of several kinds share.

use crate::metadata::same_value;
use meta::Value;
use meta::object::Object as _;

/// Counts a change of a part of the metadata as a change of the object. What
/// its spec changes is counted for every kind.
pub(crate) fn count_change(object: &mut Value, old: &Value, part: &str) {
    let of = |object: &Value| object.metadata().and_then(|m| m.get(part)).cloned();
    if !same_value(of(object).as_ref(), of(old).as_ref()) {
        let generation = old.generation() + 1;
        object.metadata_mut().insert("generation", generation);
    }
}
