//! The tree that a request becomes.
//!
//! An object is a list of entries sorted by key: Kubernetes objects are small
//! and wide, and a search over a few short inline keys beats hashing. Numbers
//! are what Go's decoder would make of them (an `int64` when the text is an
//! integer that fits, else a `float64`).

mod convert;
mod json;
mod map;
mod number;

pub use json::write_string;
pub use map::Map;
pub use number::Number;

use compact_str::CompactString;

/// A short string, stored inline up to 24 bytes.
pub type Str = CompactString;

/// One JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Str),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

impl Value {
    /// An empty object.
    pub const fn object() -> Self {
        Value::Object(Map::new())
    }

    /// The value of a key, when this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.as_object_mut()?.get_mut(key)
    }

    /// The value at the end of a chain of keys.
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The value at the end of a chain of keys, to change.
    pub fn at_mut(&mut self, keys: &[&str]) -> Option<&mut Value> {
        keys.iter().try_fold(self, |value, key| value.get_mut(key))
    }

    /// The string at the end of a chain of keys, empty when there is none:
    /// how Go reads a string field that is not a pointer.
    pub fn str_at(&self, keys: &[&str]) -> &str {
        self.at(keys).and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer at the end of a chain of keys.
    pub fn i64_at(&self, keys: &[&str]) -> Option<i64> {
        self.at(keys).and_then(Value::as_i64)
    }

    /// Whether the end of a chain of keys is `true`.
    pub fn is_true_at(&self, keys: &[&str]) -> bool {
        self.at(keys).and_then(Value::as_bool) == Some(true)
    }

    /// The list at the end of a chain of keys, empty when there is none.
    pub fn items_at(&self, keys: &[&str]) -> &[Value] {
        self.at(keys).and_then(Value::as_array).unwrap_or_default()
    }

    /// Sets the value at the end of a chain of keys; objects on the way are made.
    pub fn set_at(&mut self, keys: &[&str], value: impl Into<Value>) {
        let Some((last, parents)) = keys.split_last() else {
            *self = value.into();
            return;
        };
        let mut map = self.make_object();
        for key in parents {
            map = map.object(key);
        }
        map.insert(*last, value);
    }

    /// Takes the value at the end of a chain of keys out.
    pub fn remove_at(&mut self, keys: &[&str]) -> Option<Value> {
        let (last, parents) = keys.split_last()?;
        self.at_mut(parents)?.as_object_mut()?.remove(last)
    }

    /// This as an object, made an empty one when it is something else.
    pub fn make_object(&mut self) -> &mut Map {
        if !matches!(self, Value::Object(_)) {
            *self = Value::object();
        }
        match self {
            Value::Object(map) => map,
            _ => unreachable!("just made an object"),
        }
    }

    /// This as a list, made an empty one when it is something else.
    pub fn make_array(&mut self) -> &mut Vec<Value> {
        if !matches!(self, Value::Array(_)) {
            *self = Value::Array(Vec::new());
        }
        match self {
            Value::Array(items) => items,
            _ => unreachable!("just made a list"),
        }
    }

    /// The object, when it is one.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The object, to change.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The list, when it is one.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The list, to change.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The string, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    /// The integer, when it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Number(n) => n.as_i64(),
            _ => None,
        }
    }

    /// The boolean, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether Go's `omitempty` would leave this out: null, false, 0, "", [] or {}.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(b) => !b,
            Value::Number(n) => n.as_f64() == 0.0,
            Value::String(s) => s.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
        }
    }

    /// What JSON calls this kind of value, as Go's decoder words it.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn set_at_makes_the_way() {
        let mut v = Value::Null;
        v.set_at(&["a", "b"], 1);
        assert_eq!(v, value!({"a": {"b": 1}}));
        assert_eq!(v.remove_at(&["a", "b"]), Some(value!(1)));
    }
}
