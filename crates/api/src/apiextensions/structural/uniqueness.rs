//! Items of lists that are sets or maps are there once. Follows
//! pkg/apiserver/schema/listtype/validation.go of apiextensions-apiserver.

use super::{ListType, Structural};
use meta::field::ErrorKind;
use meta::{Errors, FieldError, Map, Path, Value};
use std::collections::BTreeSet;

impl Structural {
    /// What stands twice in the lists of a value.
    pub fn check_lists(&self, value: &Value, path: &Path, errors: &mut Errors) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map.iter() {
                    if let Some(of) = self.properties.get(key.as_str()) {
                        of.check_lists(inner, &path.child(key), errors);
                    } else if let Some(of) = self.rest() {
                        of.check_lists(inner, &path.key(key), errors);
                    }
                }
            }
            Value::Array(items) => {
                self.check_once(items, path, errors);
                if let Some(of) = &self.items {
                    for (i, item) in items.iter().enumerate() {
                        of.check_lists(item, &path.index(i), errors);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_once(&self, items: &[Value], path: &Path, errors: &mut Errors) {
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            let shown = match &self.list {
                ListType::Set => item.clone(),
                ListType::Map(keys) => self.keys_of(keys, item),
                _ => return,
            };
            if !seen.insert(shown.to_json()) {
                let path = path.index(i);
                errors.push(FieldError::new(ErrorKind::Duplicate, &path, shown, ""));
            }
        }
    }

    fn keys_of(&self, keys: &[String], item: &Value) -> Value {
        let default = |key: &String| {
            let of = self.items.as_ref()?.properties.get(key)?;
            of.default.clone()
        };
        let found = |key: &String| item.get(key).cloned().or_else(|| default(key));
        let found = keys
            .iter()
            .filter_map(|key| Some((key.as_str(), found(key)?)));
        Value::Object(found.collect::<Map>())
    }
}
