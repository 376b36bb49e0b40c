//! YAML text to tree, as sigs.k8s.io/yaml reads it: YAML 1.1 booleans, merge
//! keys, octal numbers, and the first document only.

mod write;

use meta::{Map, Number, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::DuplicateKeyPolicy;
use std::fmt;

pub use write::write;

/// Why text is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("error converting YAML to JSON: yaml: {0}")]
pub struct Error(String);

/// The documents of a text, without the lines that part them.
///
/// Follows staging/src/k8s.io/apimachinery/pkg/util/yaml/decoder.go.
pub fn documents(text: &str) -> Vec<&str> {
    let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let after = line.strip_prefix("---").map(str::trim_start);
        if after.is_some_and(|after| after.is_empty() || after.starts_with('#')) {
            out.push(&text[from..at]);
            from = end;
        }
        at = end;
    }
    out.push(&text[from..]);
    out.retain(|document| !document.trim().is_empty());
    out
}

/// Reads one document in which no key stands twice.
pub fn parse(text: &str) -> Result<Value, Error> {
    read(text, DuplicateKeyPolicy::Error).map_err(|e| Error(e.to_string()))
}

/// Reads one document. Of a key that stands twice the last value counts, and
/// the words for it are given.
pub fn parse_lenient(text: &str) -> Result<(Value, Option<String>), Error> {
    match read(text, DuplicateKeyPolicy::Error) {
        Ok(value) => Ok((value, None)),
        Err(first) => {
            let value = read(text, DuplicateKeyPolicy::LastWins);
            let value = value.map_err(|e| Error(e.to_string()))?;
            Ok((value, Some(twice(first.without_snippet()))))
        }
    }
}

/// `yaml: unmarshal errors:\n  line 3: key "a" already set in map`
fn twice(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::DuplicateMappingKey { key, location } => {
            let key = meta::field::quote(key.as_deref().unwrap_or_default());
            let line = location.line();
            format!("yaml: unmarshal errors:\n  line {line}: key {key} already set in map")
        }
        other => format!("yaml: {other}"),
    }
}

fn read(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: duplicates,
    };
    let tree: Tree = serde_saphyr::from_str_with_options(text, options)?;
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
    fn visit_f64<E: serde::de::Error>(self, f: f64) -> Result<Value, E> {
        match f.is_finite() {
            true => Ok(f.into()),
            // JSON has no such numbers.
            false => Err(E::custom(format!("json: unsupported value: {f}"))),
        }
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

    #[test]
    fn documents_are_parted() {
        for (text, expected) in [
            ("a: 1\n", vec!["a: 1\n"]),
            (
                "---\na: 1\n--- # next\nb: 2\n---\n",
                vec!["a: 1\n", "b: 2\n"],
            ),
            ("a: |\n  x\n  ---\n  y\n", vec!["a: |\n  x\n  ---\n  y\n"]),
            ("a: 1\n----\n", vec!["a: 1\n----\n"]),
            ("\n", vec![]),
        ] {
            assert_eq!(documents(text), expected, "{text:?}");
        }
    }
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

    #[test]
    fn keys_that_stand_twice_are_named() {
        let text = "a: 1\nb:\n  c: 1\n  c: 2\n";
        let (value, words) = parse_lenient(text).expect("YAML");
        assert_eq!(value, value!({"a": 1, "b": {"c": 2}}));
        assert_eq!(
            words.as_deref(),
            Some("yaml: unmarshal errors:\n  line 4: key \"c\" already set in map")
        );
        assert!(parse(text).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let value = value!({
            "apiVersion": "v1", "text": "a\nb\n", "chomp": "a\nb", "keep": "a\n\n", "empty": {}, "none": [],
            "list": [{"a": 1, "b": [1, [2, 3]]}, "x: y", "yes", "1.5", "2024-01-01T00:00:00Z", "- a", "é", "0x1f", "1e3"],
            "key with: colon": null, "n": -1, "f": 1.5, "t": true, "10Gi": "10Gi", "quote\"": "tab\tx", "sp": " lead"
        });
        let text = write(&value);
        assert_eq!(parse(&text).expect("YAML"), value, "{text}");
    }
}
