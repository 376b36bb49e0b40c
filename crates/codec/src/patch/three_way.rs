//! What `apply` makes of what was applied last, what is applied now, and what is live.
//!
//! The result is computed whole, on trees: by the lists' merge keys where the kind is known, by
//! replacement of lists elsewhere. Follows apimachinery's strategicpatch (CreateThreeWayMergePatch)
//! and jsonmergepatch.

use super::shape::{Shape, same_key};
use meta::schema::{Patch, Struct};
use meta::{Map, Value};

/// The live object with the changes that lead from what was applied last to what is applied now.
pub fn merge(last: &Value, now: &Value, live: &Value, schema: Option<&Struct>) -> Value {
    let shape = schema.map_or(Shape::Unknown, Shape::Struct);
    merge_value(Some(last), now, Some(live), shape)
}

fn merge_value(last: Option<&Value>, now: &Value, live: Option<&Value>, shape: Shape<'_>) -> Value {
    match (now, live) {
        (Value::Object(now), Some(Value::Object(live))) => {
            let nothing = Map::new();
            let last = last.and_then(Value::as_object).unwrap_or(&nothing);
            Value::Object(merge_map(last, now, live, shape))
        }
        _ => without_nulls(now),
    }
}

fn merge_map(last: &Map, now: &Map, live: &Map, shape: Shape<'_>) -> Map {
    let mut out = live.clone();
    for key in last.keys().filter(|key| !now.contains_key(key)) {
        out.remove(key);
    }
    for (key, value) in now.iter() {
        if value.is_null() {
            out.remove(key);
            continue;
        }
        let (rule, ty, before) = (shape.patch(key), shape.ty(key), last.get(key));
        let merged = match (value, live.get(key)) {
            (Value::Array(now), Some(Value::Array(live))) if rule.merge => {
                let last = before.and_then(Value::as_array).unwrap_or_default();
                Value::Array(merge_list(last, now, live, rule, Shape::of_items(ty)))
            }
            (now, Some(live)) if rule.retain_keys => {
                let live = retained(rule, now, live.clone());
                merge_value(before, now, Some(&live), Shape::of(ty))
            }
            (now, live) => merge_value(before, now, live, Shape::of(ty)),
        };
        out.insert(key.clone(), merged);
    }
    out
}

/// What stays of a live object of which only the keys that are applied may stay.
fn retained(rule: Patch, now: &Value, mut live: Value) -> Value {
    if let (true, Value::Object(live)) = (rule.retain_keys, &mut live) {
        live.retain(|key, _| now.get(key).is_some());
    }
    live
}

fn merge_list(
    last: &[Value],
    now: &[Value],
    live: &[Value],
    rule: Patch,
    item: Shape<'_>,
) -> Vec<Value> {
    let same = |a: &Value, b: &Value| same_key(a, b, rule.key);
    let find = |all: &[Value], wanted: &Value| all.iter().find(|v| same(v, wanted)).cloned();
    // What was applied and is applied no more goes; what others added stays where it is.
    let mut rest: Vec<&Value> = live
        .iter()
        .filter(|v| find(now, v).is_some() || find(last, v).is_none())
        .collect();
    let mut out: Vec<Value> = Vec::new();
    for wanted in now {
        if find(&out, wanted).is_some() {
            continue;
        }
        // Items of others that stand before the live twin keep their place.
        if let Some(at) = rest.iter().position(|v| same(v, wanted)) {
            let passed = rest.drain(..=at).filter(|v| find(now, v).is_none());
            out.extend(passed.cloned());
        }
        let before = find(last, wanted);
        let live = find(live, wanted).map(|live| retained(rule, wanted, live));
        out.push(merge_value(before.as_ref(), wanted, live.as_ref(), item));
    }
    out.extend(rest.into_iter().filter(|v| find(now, v).is_none()).cloned());
    out
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn check(kind: Option<&str>, last: Value, now: Value, live: Value, wanted: Value) {
        let schema = kind.and_then(|kind| api::schema::find("k8s.io/api/core/v1", kind));
        assert_eq!(
            merge(&last, &now, &live, schema).to_json(),
            wanted.to_json()
        );
    }

    #[test]
    fn what_is_dropped_goes_and_what_others_wrote_stays() {
        check(
            None,
            value!({"a": 1, "b": {"x": 1, "y": 2}}),
            value!({"b": {"x": 3}, "l": [1]}),
            value!({"a": 1, "b": {"x": 1, "y": 2, "z": 3}, "l": [2, 3], "s": {}}),
            value!({"b": {"x": 3, "z": 3}, "l": [1], "s": {}}),
        );
    }

    #[test]
    fn sources_of_volumes_replace_each_other() {
        let pod = |volume: Value| value!({"spec": {"volumes": [(volume)]}});
        check(
            Some("Pod"),
            pod(value!({"name": "v", "emptyDir": {}})),
            pod(value!({"name": "v", "hostPath": {"path": "/x"}})),
            pod(value!({"name": "v", "emptyDir": {"medium": "Memory"}})),
            pod(value!({"name": "v", "hostPath": {"path": "/x"}})),
        );
    }

    #[test]
    fn lists_of_known_kinds_merge_by_their_key() {
        let pod = |containers: Value| value!({"spec": {"containers": (containers)}});
        check(
            Some("Pod"),
            pod(value!([{"name": "a", "image": "1"}, {"name": "gone"}])),
            pod(value!([{"name": "new"}, {"name": "a", "image": "2"}])),
            pod(
                value!([{"name": "side"}, {"name": "a", "image": "1", "tty": true}, {"name": "gone"}]),
            ),
            pod(
                value!([{"name": "new"}, {"name": "side"}, {"name": "a", "image": "2", "tty": true}]),
            ),
        );
    }
}
