//! Strategic merge patch: a merge patch that knows from the schema which lists
//! merge and by what key, with directives for the rest. Follows apimachinery's
//! pkg/util/strategicpatch/patch.go.

use super::Error;
use super::shape::{Shape, same_key};
use meta::schema::{Patch, Struct, Type};
use meta::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object of this schema.
pub fn apply(target: &mut Value, patch: Value, schema: &Struct) -> Result<(), Error> {
    let Value::Object(patch) = patch else {
        return Err(Error::Malformed("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}".into()));
    };
    merge_map(target.make_object(), patch, Shape::Struct(schema))
}

fn merge_map(target: &mut Map, mut patch: Map, shape: Shape<'_>) -> Result<(), Error> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return obey(target, patch, &directive);
    }
    retain_keys(target, &mut patch)?;
    set_orders(target, &mut patch, shape)?;
    for (key, change) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from_primitives(target, list, &change)?;
            continue;
        }
        if change.is_null() {
            target.remove(&key);
            continue;
        }
        let ty = shape.ty(&key);
        match (target.get_mut(&key), change) {
            (None, mut change) => {
                drop_directives(&mut change);
                target.insert(key, change);
            }
            (Some(Value::Object(inner)), Value::Object(change)) => {
                merge_map(inner, change, Shape::of(ty))?
            }
            (Some(slot @ Value::Array(_)), Value::Array(change)) => {
                let merged = merge_list(slot.make_array(), change, shape.patch(&key), ty, &key)?;
                *slot = Value::Array(merged);
            }
            (Some(slot), change) => *slot = change,
        }
    }
    Ok(())
}

fn obey(target: &mut Map, patch: Map, directive: &Value) -> Result<(), Error> {
    match directive.as_str() {
        Some("replace") => *target = patch,
        Some("delete") => *target = Map::new(),
        _ => {
            return Err(Error::Malformed(format!(
                "unknown patch type found: {directive}"
            )));
        }
    }
    Ok(())
}

/// `$retainKeys` names the keys that stay.
fn retain_keys(target: &mut Map, patch: &mut Map) -> Result<(), Error> {
    let Some(keep) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Some(keep) = keep.as_array() else {
        return Err(Error::Malformed(
            "invalid patch format of retainKeys list".into(),
        ));
    };
    let kept = |key: &str| keep.iter().any(|k| k.as_str() == Some(key));
    let foreign = patch
        .iter()
        .find(|(key, change)| !key.starts_with('$') && !change.is_null() && !kept(key));
    if let Some((key, _)) = foreign {
        return Err(Error::Malformed(format!(
            "invalid patch format of retainKeys list: {key} is not among its keys"
        )));
    }
    target.retain(|key, _| kept(key));
    Ok(())
}

/// `$setElementOrder/<list>` says in which order the items that the patch
/// knows shall stand.
fn set_orders(target: &mut Map, patch: &mut Map, shape: Shape<'_>) -> Result<(), Error> {
    let lists: Vec<String> = patch
        .keys()
        .filter_map(|k| k.strip_prefix(SET_ORDER))
        .map(str::to_string)
        .collect();
    for list in lists {
        let order = patch
            .remove(&format!("{SET_ORDER}{list}"))
            .unwrap_or_default();
        let Value::Array(order) = order else {
            return Err(Error::Malformed(
                "invalid patch format of setElementOrder list".into(),
            ));
        };
        let rule = shape.patch(&list);
        let change = patch.remove(&list);
        let delete = patch.remove(&format!("{DELETE_FROM}{list}"));
        let original = target
            .get(&list)
            .and_then(Value::as_array)
            .unwrap_or_default()
            .to_vec();
        if let Some(delete) = delete {
            delete_from_primitives(target, &list, &delete)?;
        }
        let current = target
            .get(&list)
            .and_then(Value::as_array)
            .unwrap_or_default()
            .to_vec();
        let merged = match change {
            Some(Value::Array(change)) => {
                merge_list(&current, change, rule, shape.ty(&list), &list)?
            }
            Some(Value::Null) => {
                target.remove(&list);
                continue;
            }
            Some(other) => {
                target.insert(list, other);
                continue;
            }
            None if current.is_empty() => continue,
            None => current,
        };
        let (known, foreign) = partition(merged, &order, rule.key);
        target.insert(
            list,
            Value::Array(ordered(known, foreign, &order, &original, rule.key)),
        );
    }
    Ok(())
}

fn delete_from_primitives(target: &mut Map, list: &str, gone: &Value) -> Result<(), Error> {
    let Some(gone) = gone.as_array() else {
        return Err(Error::Malformed(
            "invalid patch format of delete primitive list".into(),
        ));
    };
    if let Some(Value::Array(items)) = target.get_mut(list) {
        items.retain(|item| !gone.contains(item));
    }
    Ok(())
}

fn merge_list(
    original: &[Value],
    patch: Vec<Value>,
    rule: Patch,
    ty: Option<&Type>,
    name: &str,
) -> Result<Vec<Value>, Error> {
    if !rule.merge {
        let mut patch = patch;
        patch.iter_mut().for_each(drop_directives);
        return Ok(patch);
    }
    let of_maps = original
        .iter()
        .chain(&patch)
        .any(|item| matches!(item, Value::Object(_)));
    if !of_maps {
        return Ok(merge_primitives(original, &patch));
    }
    if rule.key.is_empty() {
        return Err(Error::Malformed(format!(
            "cannot merge lists without merge key for {name}"
        )));
    }
    merge_keyed(original, patch, rule.key, Shape::of_items(ty))
}

fn merge_primitives(original: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
    for item in original.iter().chain(patch) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    let (known, foreign) = partition(merged, patch, "");
    ordered(known, foreign, patch, original, "")
}

fn merge_keyed(
    original: &[Value],
    patch: Vec<Value>,
    key: &str,
    shape: Shape<'_>,
) -> Result<Vec<Value>, Error> {
    let mut merged = original.to_vec();
    let mut order = Vec::with_capacity(patch.len());
    for item in special_elements(&mut merged, patch, key)? {
        if item.get(key).is_none() {
            return Err(Error::Malformed(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        }
        order.push(item.clone());
        match (merged.iter_mut().find(|m| same_key(m, &item, key)), item) {
            (Some(Value::Object(found)), Value::Object(change)) => merge_map(found, change, shape)?,
            (_, mut item) => {
                drop_directives(&mut item);
                merged.push(item);
            }
        }
    }
    let (known, foreign) = partition(merged, &order, key);
    Ok(ordered(known, foreign, &order, original, key))
}

/// Obeys the items that are directives; gives the others.
fn special_elements(
    merged: &mut Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<Vec<Value>, Error> {
    let mut plain = Vec::with_capacity(patch.len());
    for item in patch {
        match item.get(DIRECTIVE).and_then(Value::as_str) {
            None => plain.push(item),
            Some("delete") => {
                if item.get(key).is_none() {
                    return Err(Error::Malformed(format!(
                        "delete patch type with no merge key defined: {item}"
                    )));
                }
                merged.retain(|m| !same_key(m, &item, key));
            }
            Some("replace") => merged.clear(),
            Some(other) => {
                return Err(Error::Malformed(format!(
                    "unknown patch type found: {other}"
                )));
            }
        }
    }
    Ok(plain)
}

/// Those that the list knows, and the others.
fn partition(items: Vec<Value>, list: &[Value], key: &str) -> (Vec<Value>, Vec<Value>) {
    items
        .into_iter()
        .partition(|item| list.iter().any(|known| same_key(item, known, key)))
}

/// The known items in the order of the patch and the foreign ones in the order
/// of the server, woven together so that foreign ones keep their place where
/// that can be said.
fn ordered(
    mut known: Vec<Value>,
    mut foreign: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Vec<Value> {
    let position =
        |list: &[Value], item: &Value| list.iter().position(|other| same_key(item, other, key));
    known.sort_by_key(|item| position(patch_order, item));
    foreign.sort_by_key(|item| position(server_order, item));
    let mut out = Vec::with_capacity(known.len() + foreign.len());
    let (mut known, mut foreign) = (known.into_iter().peekable(), foreign.into_iter().peekable());
    loop {
        let foreign_first = match (foreign.peek(), known.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(f), Some(k)) => match (position(server_order, f), position(server_order, k)) {
                (Some(f), Some(k)) => f < k,
                _ => false,
            },
        };
        out.extend(if foreign_first {
            foreign.next()
        } else {
            known.next()
        });
    }
}

/// Takes the directives and nulls out of something new.
fn drop_directives(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, inner| {
                let is_directive = key == DIRECTIVE
                    || key == RETAIN_KEYS
                    || key.starts_with(DELETE_FROM)
                    || key.starts_with(SET_ORDER);
                !is_directive && !inner.is_null()
            });
            map.iter_mut().for_each(|(_, inner)| drop_directives(inner));
        }
        Value::Array(items) => {
            items.retain(|item| item.get(DIRECTIVE).and_then(Value::as_str) != Some("delete"));
            items.iter_mut().for_each(drop_directives);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn check(mut target: Value, patch: Value, expected: Value) {
        let schema = api::schema::find("k8s.io/api/core/v1", "Pod").expect("the schema of Pod");
        apply(&mut target, patch, schema).expect("a patch that applies");
        assert_eq!(target, expected, "\n got {target}\nwant {expected}");
    }

    #[test]
    fn lists_merge_by_their_key() {
        check(
            value!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}),
            value!({"spec": {"containers": [{"name": "b", "image": "z"}, {"name": "c"}]}}),
            value!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "z"}, {"name": "c"}]}}),
        );
    }

    #[test]
    fn directives_are_obeyed() {
        check(
            value!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "tolerations": [{"key": "x"}]}}),
            value!({"spec": {"containers": [{"name": "a", "$patch": "delete"}], "tolerations": [{"key": "y"}]}}),
            value!({"spec": {"containers": [{"name": "b"}], "tolerations": [{"key": "y"}]}}),
        );
        check(
            value!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            value!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
            value!({"spec": {"containers": [{"name": "c"}]}}),
        );
        check(
            value!({"spec": {"securityContext": {"runAsUser": 1, "runAsGroup": 2}}}),
            value!({"spec": {"securityContext": {"$patch": "replace", "runAsUser": 3}}}),
            value!({"spec": {"securityContext": {"runAsUser": 3}}}),
        );
        check(
            value!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
            value!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}}),
            value!({"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}}),
        );
        check(
            value!({"metadata": {"finalizers": ["a", "b", "c"]}}),
            value!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "a"]}}),
            value!({"metadata": {"finalizers": ["c", "a"]}}),
        );
    }

    #[test]
    fn the_order_of_the_patch_is_kept_around_what_it_does_not_know() {
        check(
            value!({"spec": {"containers": [{"name": "a"}, {"name": "s"}, {"name": "b"}]}}),
            value!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "x"}]}}),
            value!({"spec": {"containers": [{"name": "s"}, {"name": "b"}, {"name": "a", "image": "x"}]}}),
        );
    }

    #[test]
    fn null_removes_and_new_things_lose_their_nulls() {
        check(
            value!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            value!({"metadata": {"labels": {"a": null}, "annotations": {"x": "y", "z": null}}}),
            value!({"metadata": {"labels": {"b": "2"}, "annotations": {"x": "y"}}}),
        );
    }
}
