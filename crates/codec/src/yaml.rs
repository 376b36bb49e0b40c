//! YAML text to tree, as sigs.k8s.io/yaml reads it: YAML 1.1 booleans, merge
//! keys, octal numbers, and the first document only.

use meta::{Map, Number, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Why text is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("error converting YAML to JSON: yaml: {0}")]
pub struct Error(String);

/// Reads one document.
pub fn parse(text: &str) -> Result<Value, Error> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let tree: Tree =
        serde_saphyr::from_str_with_options(text, options).map_err(|e| Error(e.to_string()))?;
    Ok(tree.0)
}

/// A tree as serde builds it.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(b.into())
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(i.into())
    }
    fn visit_u64<E>(self, u: u64) -> Result<Value, E> {
        Ok(Value::Number(
            i64::try_from(u).map_or(Number::Float(u as f64), Number::Int),
        ))
    }
    fn visit_f64<E>(self, f: f64) -> Result<Value, E> {
        Ok(f.into())
    }
    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(s.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((Tree(key), Tree(value))) = access.next_entry()? {
            let key = match key {
                Value::String(s) => s,
                other => other.to_json().into(),
            };
            entries.push((key, value));
        }
        Ok(Value::Object(Map::from_entries(entries, |_| {})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn yaml_is_read_as_kubernetes_reads_it() {
        let text = "a: yes\nb: 017\nc: [1, 2.5, ~]\nd: {x: &m {k: v}, z: {<<: *m, l: w}}\ne: \"yes\"\n1: one\n";
        assert_eq!(
            parse(text).expect("YAML"),
            value!({
                "a": true, "b": 15, "c": [1, 2.5, null],
                "d": {"x": {"k": "v"}, "z": {"k": "v", "l": "w"}}, "e": "yes", "1": "one"
            })
        );
        assert!(parse("a: [").is_err());
    }
}
