//! What `apply` makes of what was applied last, what is applied now, and what is live.
//!
//! The result is computed whole, on trees: by the lists' merge keys where the kind is known, by
//! replacement of lists elsewhere. Follows apimachinery's strategicpatch (CreateThreeWayMergePatch)
//! and jsonmergepatch.

use meta::schema::{Field, Struct, Type};
use meta::{Map, Value};

/// The live object with the changes that lead from what was applied last to what is applied now.
pub fn merge(last: &Value, now: &Value, live: &Value, schema: Option<&Struct>) -> Value {
    let shape = schema.map_or(Shape::Unknown, Shape::Struct);
    merge_value(Some(last), now, Some(live), shape)
}

#[derive(Clone, Copy)]
enum Shape<'s> {
    Struct(&'s Struct),
    Map(&'s Type),
    Unknown,
}

impl<'s> Shape<'s> {
    fn of(ty: Option<&'s Type>) -> Self {
        match ty {
            Some(Type::Struct(schema)) => Shape::Struct(schema),
            Some(Type::Map(map)) => Shape::Map(&map.value),
            _ => Shape::Unknown,
        }
    }

    fn field(self, key: &str) -> Option<&'s Field> {
        match self {
            Shape::Struct(schema) => schema.field(key),
            _ => None,
        }
    }

    fn below(self, key: &str) -> Shape<'s> {
        match self {
            Shape::Struct(schema) => Shape::of(schema.field(key).map(|f| &f.ty)),
            Shape::Map(ty) => Shape::of(Some(ty)),
            Shape::Unknown => Shape::Unknown,
        }
    }
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
        let field = shape.field(key);
        let before = last.get(key);
        let merged = match (field.map(|f| f.patch), value, live.get(key)) {
            (Some(patch), Value::Array(now), Some(Value::Array(live))) if patch.merge => {
                let last = before.and_then(Value::as_array).unwrap_or_default();
                let item = field.and_then(|f| match &f.ty {
                    Type::List(list) => Some(&list.item),
                    _ => None,
                });
                Value::Array(merge_list(last, now, live, &patch, Shape::of(item)))
            }
            (Some(patch), Value::Object(now), Some(Value::Object(live))) if patch.retain_keys => {
                let mut live = live.clone();
                live.retain(|key, _| now.contains_key(key));
                let nothing = Map::new();
                let last = before.and_then(Value::as_object).unwrap_or(&nothing);
                Value::Object(merge_map(last, now, &live, shape.below(key)))
            }
            (_, value, live) => merge_value(before, value, live, shape.below(key)),
        };
        out.insert(key.clone(), merged);
    }
    out
}

fn merge_list(
    last: &[Value],
    now: &[Value],
    live: &[Value],
    patch: &meta::schema::Patch,
    item: Shape<'_>,
) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match patch.key {
        "" => a == b,
        key => a.get(key).is_some() && a.get(key) == b.get(key),
    };
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
        let present = find(live, wanted);
        let retained = match (patch.retain_keys, present) {
            (true, Some(Value::Object(mut map))) => {
                map.retain(|key, _| wanted.get(key).is_some());
                Some(Value::Object(map))
            }
            (_, present) => present,
        };
        out.push(merge_value(
            before.as_ref(),
            wanted,
            retained.as_ref(),
            item,
        ));
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
        let schema = kind.and_then(|kind| api::schema::of("v1", kind));
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
