//! Trees made of Rust's values, and as they are written in code.

use super::{Map, Number, Str, Value};

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
