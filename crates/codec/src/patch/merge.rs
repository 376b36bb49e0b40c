//! JSON merge patch: null removes, objects merge, everything else replaces.

use meta::Value;

/// Applies a merge patch.
pub fn apply(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    let map = target.make_object();
    for (key, change) in patch {
        if change.is_null() {
            map.remove(&key);
        } else {
            apply(map.entry(&key), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn the_cases_of_rfc_7386() {
        for (mut target, patch, expected) in [
            (value!({"a": "b"}), value!({"a": "c"}), value!({"a": "c"})),
            (
                value!({"a": "b"}),
                value!({"b": "c"}),
                value!({"a": "b", "b": "c"}),
            ),
            (value!({"a": "b"}), value!({"a": null}), value!({})),
            (value!({"a": ["b"]}), value!({"a": "c"}), value!({"a": "c"})),
            (
                value!({"a": {"b": "c"}}),
                value!({"a": {"b": "d", "c": null}}),
                value!({"a": {"b": "d"}}),
            ),
            (
                value!({"a": [{"b": "c"}]}),
                value!({"a": [1]}),
                value!({"a": [1]}),
            ),
            (
                value!({"e": null}),
                value!({"a": 1}),
                value!({"e": null, "a": 1}),
            ),
            (
                value!({}),
                value!({"a": {"bb": {"ccc": null}}}),
                value!({"a": {"bb": {}}}),
            ),
        ] {
            apply(&mut target, patch);
            assert_eq!(target, expected);
        }
    }
}
