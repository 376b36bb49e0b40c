//! The tree that a request becomes.
//!
//! An object is a list of entries sorted by key: Kubernetes objects are small
//! and wide, and a search over a few short inline keys beats hashing. Numbers are what Go's decoder would make of them
//! (an `int64` when the text is an integer that fits, else a `float64`).

use compact_str::CompactString;
use std::fmt;

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

/// A number, exact when it is an integer of 64 bits.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// Everything else.
    Float(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.as_f64() == b.as_f64(),
        }
    }
}

impl Number {
    /// The nearest `float64`.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }

    /// The integer, when the number is one (`1.0` is).
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Int(i) => Some(i),
            Number::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => Some(f as i64),
            Number::Float(_) => None,
        }
    }
}

impl fmt::Display for Number {
    /// Prints as Go's `encoding/json` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Number::Int(i) => write!(f, "{i}"),
            Number::Float(x) => {
                let size = x.abs();
                if x != 0.0 && !(1e-6..1e21).contains(&size) {
                    let text = format!("{x:e}");
                    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                    let (sign, power) = match exponent.strip_prefix('-') {
                        Some(power) => ('-', power),
                        None => ('+', exponent),
                    };
                    write!(f, "{digits}e{sign}{power:0>2}")
                } else {
                    write!(f, "{x}")
                }
            }
        }
    }
}

/// The entries of an object, sorted by key. Keys are unique; where the same key
/// comes twice, the later value stays (whoever must complain of that does so
/// while reading). Sorting makes equal objects equal bytes, and keeps look-up
/// cheap for a map of a hundred thousand keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Vec<(Str, Value)>,
}

impl Map {
    /// An empty object.
    pub const fn new() -> Self {
        Map {
            entries: Vec::new(),
        }
    }

    /// An empty object with room for `n` entries.
    pub fn with_capacity(n: usize) -> Self {
        Map {
            entries: Vec::with_capacity(n),
        }
    }

    /// From entries in any order; gives each key that came more than once to
    /// `duplicate`, and keeps the last of its values.
    pub fn from_entries(mut entries: Vec<(Str, Value)>, mut duplicate: impl FnMut(&str)) -> Self {
        let is_sorted = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !is_sorted {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    duplicate(&later.0);
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Map { entries }
    }

    /// From entries that are sorted by key already, each key once.
    pub fn from_sorted(entries: Vec<(Str, Value)>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "entries in order");
        Map { entries }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(k, _)| k.as_str().cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().map(|i| &self.entries[i].1)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.position(key).ok().map(|i| &mut self.entries[i].1)
    }

    /// Whether the key is there, be its value null.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_ok()
    }

    /// Sets a key and gives back what it replaced.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.position(&key) {
            Ok(i) => Some(std::mem::replace(&mut self.entries[i].1, value)),
            Err(i) => {
                self.entries.insert(i, (key, value));
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).ok().map(|i| self.entries.remove(i).1)
    }

    /// The value of a key, made null when it is absent.
    pub fn entry(&mut self, key: &str) -> &mut Value {
        let i = self.position(key).unwrap_or_else(|i| {
            self.entries.insert(i, (key.into(), Value::Null));
            i
        });
        &mut self.entries[i].1
    }

    /// The object below a key, made empty when it is absent or something else.
    pub fn object(&mut self, key: &str) -> &mut Map {
        self.entry(key).make_object()
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(k, v)| keep(k, v));
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Value)> + DoubleEndedIterator {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// The entries in order, values to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Str, &mut Value)> {
        self.entries.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Str> {
        self.entries.iter().map(|(k, _)| k)
    }
}

impl IntoIterator for Map {
    type Item = (Str, Value);
    type IntoIter = std::vec::IntoIter<(Str, Value)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    /// Later entries replace earlier ones of the same key.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Map::from_entries(
            iter.into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            |_| {},
        )
    }
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

    /// Compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends an API object as compact JSON: kind, apiVersion and metadata come
    /// first, as people expect to read them.
    pub fn write_object(&self, out: &mut Vec<u8>) {
        const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
        let Some(map) = self.as_object() else {
            return self.write_json(out);
        };
        let first = FIRST.iter().filter_map(|key| Some((*key, map.get(key)?)));
        let rest = map
            .iter()
            .map(|(k, v)| (k.as_str(), v))
            .filter(|(k, _)| !FIRST.contains(k));
        out.push(b'{');
        for (i, (key, value)) in first.chain(rest).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(key, out);
            out.push(b':');
            value.write_json(out);
        }
        out.push(b'}');
    }

    /// Appends compact JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(Number::Int(i)) => write_int(*i, out),
            Value::Number(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::String(s) => write_string(s, out),
            Value::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Value::Object(map) => {
                out.push(b'{');
                for (i, (key, value)) in map.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn write_int(i: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = i.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if i < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a JSON string with its quotes.
pub fn write_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let is_special = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Without branches, so that it is done many bytes at a time.
    if !bytes.iter().fold(false, |odd, b| odd | is_special(*b)) {
        out.extend_from_slice(bytes);
        return out.push(b'"');
    }
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if !is_special(b) {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Number(Number::Int(i))
    }
}
impl From<i32> for Value {
    fn from(i: i32) -> Self {
        Value::Number(Number::Int(i.into()))
    }
}
impl From<u32> for Value {
    fn from(i: u32) -> Self {
        Value::Number(Number::Int(i.into()))
    }
}
impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Value::Number(Number::Float(f))
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::String(s.into())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::String(s.into())
    }
}
impl From<Str> for Value {
    fn from(s: Str) -> Self {
        Value::String(s)
    }
}
impl From<&Str> for Value {
    fn from(s: &Str) -> Self {
        Value::String(s.clone())
    }
}
impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Object(map)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Writes a [`Value`] as JSON is written.
///
/// ```
/// let pod = meta::value!({"metadata": {"name": "a", "labels": {}}, "spec": {"containers": []}});
/// assert_eq!(pod.str_at(&["metadata", "name"]), "a");
/// ```
#[macro_export]
macro_rules! value {
    (null) => { $crate::Value::Null };
    ([ $($tt:tt)* ]) => { $crate::Value::Array($crate::value_list!([] $($tt)*)) };
    ({ $($tt:tt)* }) => {{
        #[allow(unused_mut)]
        let mut map = $crate::Map::new();
        $crate::value_entries!(map $($tt)*);
        $crate::Value::Object(map)
    }};
    ($other:expr) => { $crate::Value::from($other) };
}

/// The entries of an object in [`value!`].
#[doc(hidden)]
#[macro_export]
macro_rules! value_entries {
    ($map:ident) => {};
    ($map:ident $key:tt : null $(, $($rest:tt)*)?) => {
        $map.insert($key, $crate::Value::Null);
        $($crate::value_entries!($map $($rest)*);)?
    };
    ($map:ident $key:tt : { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $map.insert($key, $crate::value!({ $($inner)* }));
        $($crate::value_entries!($map $($rest)*);)?
    };
    ($map:ident $key:tt : [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $map.insert($key, $crate::value!([ $($inner)* ]));
        $($crate::value_entries!($map $($rest)*);)?
    };
    ($map:ident $key:tt : $value:expr $(, $($rest:tt)*)?) => {
        $map.insert($key, $crate::Value::from($value));
        $($crate::value_entries!($map $($rest)*);)?
    };
}

/// The items of a list in [`value!`].
#[doc(hidden)]
#[macro_export]
macro_rules! value_list {
    ([ $($done:expr,)* ]) => { vec![ $($done,)* ] };
    ([ $($done:expr,)* ] null $(, $($rest:tt)*)?) => {
        $crate::value_list!([ $($done,)* $crate::Value::Null, ] $($($rest)*)?)
    };
    ([ $($done:expr,)* ] { $($inner:tt)* } $(, $($rest:tt)*)?) => {
        $crate::value_list!([ $($done,)* $crate::value!({ $($inner)* }), ] $($($rest)*)?)
    };
    ([ $($done:expr,)* ] [ $($inner:tt)* ] $(, $($rest:tt)*)?) => {
        $crate::value_list!([ $($done,)* $crate::value!([ $($inner)* ]), ] $($($rest)*)?)
    };
    ([ $($done:expr,)* ] $value:expr $(, $($rest:tt)*)?) => {
        $crate::value_list!([ $($done,)* $crate::Value::from($value), ] $($($rest)*)?)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (x, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (-2.5, "-2.5"),
            (123456789012345680000.0, "123456789012345680000"),
        ] {
            assert_eq!(Number::Float(x).to_string(), text);
        }
    }

    #[test]
    fn the_macro_writes_trees() {
        let v = value!({"a": [1, "two", null, {"b": true}], "c": {}, "d": null});
        assert_eq!(
            v.to_json(),
            r#"{"a":[1,"two",null,{"b":true}],"c":{},"d":null}"#
        );
    }

    #[test]
    fn maps_are_equal_whatever_the_order_of_writing() {
        assert_eq!(value!({"a": 1, "b": 2}), value!({"b": 2, "a": 1}));
        assert_ne!(value!({"a": 1, "b": 2}), value!({"a": 1, "c": 2}));
    }

    #[test]
    fn the_last_of_equal_keys_stays() {
        let mut twice = Vec::new();
        let entries = vec![
            ("b".into(), value!(1)),
            ("a".into(), value!(2)),
            ("b".into(), value!(3)),
        ];
        let map = Map::from_entries(entries, |key| twice.push(key.to_string()));
        assert_eq!(Value::Object(map), value!({"a": 2, "b": 3}));
        assert_eq!(twice, ["b"]);
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(
            value!("a\"\\\n\u{1}é").to_json(),
            "\"a\\\"\\\\\\n\\u0001é\""
        );
    }

    #[test]
    fn set_at_makes_the_way() {
        let mut v = Value::Null;
        v.set_at(&["a", "b"], 1);
        assert_eq!(v, value!({"a": {"b": 1}}));
        assert_eq!(v.remove_at(&["a", "b"]), Some(value!(1)));
    }
}
