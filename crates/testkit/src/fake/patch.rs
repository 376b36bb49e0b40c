//! Patches, as far as loops use them: merge patches, and strategic ones for the lists named here.

use serde_json::{Map, Value};

/// Lists whose items have an identity.
const MERGE_KEYS: &[(&str, &str)] = &[
    ("conditions", "type"),
    ("ownerReferences", "uid"),
    ("containers", "name"),
    ("addresses", "type"),
];
/// Lists that are sets.
const SETS: &[&str] = &["finalizers"];

/// Applies a merge or strategic merge patch.
pub(super) fn apply(target: &mut Value, patch: &Value, strategic: bool) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (name, change) in changes {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            remove_from_set(fields.get_mut(list), change);
        } else if strategic && change.is_array() {
            merge_list(fields, name, change);
        } else if change.is_null() {
            fields.remove(name);
        } else {
            apply(
                fields.entry(name.clone()).or_insert(Value::Null),
                change,
                strategic,
            );
        }
    }
}

fn remove_from_set(list: Option<&mut Value>, gone: &Value) {
    if let (Some(Value::Array(items)), Value::Array(gone)) = (list, gone) {
        items.retain(|item| !gone.contains(item));
    }
}

fn merge_list(fields: &mut Map<String, Value>, name: &str, change: &Value) {
    let key = MERGE_KEYS
        .iter()
        .find(|(list, _)| *list == name)
        .map(|(_, key)| *key);
    let is_set = SETS.contains(&name);
    let (Some(Value::Array(items)), Value::Array(changes)) = (fields.get_mut(name), change) else {
        fields.insert(name.to_owned(), change.clone());
        return;
    };
    match key {
        Some(key) => changes
            .iter()
            .for_each(|change| merge_item(items, key, change)),
        None if is_set => changes.iter().for_each(|change| {
            if !items.contains(change) {
                items.push(change.clone());
            }
        }),
        None => *items = changes.clone(),
    }
}

fn merge_item(items: &mut Vec<Value>, key: &str, change: &Value) {
    let found = items
        .iter()
        .position(|item| item.get(key) == change.get(key));
    let deletes = change
        .get("$patch")
        .is_some_and(|directive| directive == "delete");
    match (found, deletes) {
        (Some(index), true) => drop(items.remove(index)),
        (Some(index), false) => apply(&mut items[index], change, true),
        (None, true) => {}
        (None, false) => items.push(change.clone()),
    }
}
