//! Filling in defaults, and dropping nulls where null is no value. Follows
//! pkg/apiserver/schema/defaulting/{algorithm,prune}.go of apiextensions-apiserver.

use super::Structural;
use meta::Value;

impl Structural {
    /// Fills in what is absent; then nulls go where the schema has none.
    pub fn fill(&self, value: &mut Value) {
        fill(value, self);
        drop_nulls(value, self);
    }
}

/// Null where null is no value.
fn is_no_value(value: &Value, schema: &Structural) -> bool {
    value.is_null() && !schema.nullable
}

fn fill(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(map) => {
            for (name, of) in &schema.properties {
                let Some(default) = &of.default else { continue };
                if map.get(name).is_none_or(|found| is_no_value(found, of)) {
                    map.insert(name.as_str(), default.clone());
                }
            }
            for (key, inner) in map.iter_mut() {
                let (of, is_named) = match schema.properties.get(key.as_str()) {
                    Some(of) => (Some(of), true),
                    None => (schema.rest(), false),
                };
                let Some(of) = of else { continue };
                if !is_named && is_no_value(inner, of) {
                    replace(inner, of);
                }
                fill(inner, of);
            }
        }
        Value::Array(items) => {
            let Some(of) = &schema.items else { return };
            for item in items {
                if is_no_value(item, of) {
                    replace(item, of);
                }
                fill(item, of);
            }
        }
        _ => {}
    }
}

fn replace(value: &mut Value, schema: &Structural) {
    if let Some(default) = &schema.default {
        *value = default.clone();
    }
}

fn drop_nulls(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(map) => map.retain(|key, inner| {
            let named = schema.properties.get(key);
            let Some(of) = named.or_else(|| schema.rest()) else {
                return true;
            };
            if is_no_value(inner, of) {
                return false;
            }
            drop_nulls(inner, of);
            true
        }),
        Value::Array(items) => {
            if let Some(of) = &schema.items {
                items.iter_mut().for_each(|item| drop_nulls(item, of));
            }
        }
        _ => {}
    }
}
