//! The functions that templates may call, but `and` and `or`, which do not
//! evaluate all of their arguments.

use super::value::Val;
use super::{compare, escape, format};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meta::Value;
use std::cmp::Ordering;

type Function = fn(&[Val]) -> Result<Val, String>;

/// Name, fewest arguments, most arguments, what it does.
const TABLE: &[(&str, usize, usize, Function)] = &[
    ("base64decode", 1, 1, base64_decode),
    ("eq", 1, usize::MAX, |args| Ok(compare::equal(args)?.into())),
    ("exists", 1, usize::MAX, exists),
    ("ge", 2, 2, |args| {
        ordered(args, |o| o != Some(Ordering::Less))
    }),
    ("gt", 2, 2, |args| ordered(args, |o| !is_at_most(o))),
    ("html", 0, usize::MAX, |args| {
        Ok(escape::html(&format::print(args)).into())
    }),
    ("index", 1, usize::MAX, index),
    ("js", 0, usize::MAX, |args| {
        Ok(escape::js(&format::print(args)).into())
    }),
    ("le", 2, 2, |args| ordered(args, is_at_most)),
    ("len", 1, 1, |args| len(&args[0])),
    ("lt", 2, 2, |args| {
        ordered(args, |o| o == Some(Ordering::Less))
    }),
    ("ne", 2, 2, |args| Ok((!compare::equal(args)?).into())),
    ("not", 1, 1, |args| Ok((!args[0].is_true()).into())),
    (
        "print",
        0,
        usize::MAX,
        |args| Ok(format::print(args).into()),
    ),
    ("printf", 1, usize::MAX, printf),
    ("println", 0, usize::MAX, |args| {
        Ok(format::println(args).into())
    }),
    ("slice", 1, usize::MAX, slice),
    ("urlquery", 0, usize::MAX, |args| {
        Ok(escape::url_query(&format::print(args)).into())
    }),
];

/// Whether a template may use this name.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "and" | "or" | "call") || TABLE.iter().any(|(known, ..)| *known == name)
}

/// Calls a function. The outer error is told as it is, the inner one as an
/// error of the call.
pub(super) fn call(name: &str, args: &[Val]) -> Result<Result<Val, String>, String> {
    let Some((_, fewest, most, function)) = TABLE.iter().find(|(known, ..)| *known == name) else {
        return Err(format!(
            "{} is not a defined function",
            meta::field::quote(name)
        ));
    };
    let count = args.len();
    if count < *fewest || count > *most {
        let least = if fewest == most { "" } else { "at least " };
        return Err(format!(
            "wrong number of args for {name}: want {least}{fewest} got {count}"
        ));
    }
    Ok(function(args))
}

fn is_at_most(order: Option<Ordering>) -> bool {
    matches!(order, Some(Ordering::Less | Ordering::Equal))
}

fn ordered(args: &[Val], holds: fn(Option<Ordering>) -> bool) -> Result<Val, String> {
    Ok(holds(compare::order(&args[0], &args[1])?).into())
}

fn printf(args: &[Val]) -> Result<Val, String> {
    match args[0].text() {
        Some(text) => Ok(format::printf(text, &args[1..]).into()),
        None => Err(format!(
            "wrong type for value; expected string; got {}",
            args[0].type_name()
        )),
    }
}

fn base64_decode(args: &[Val]) -> Result<Val, String> {
    let text = args[0].text().unwrap_or_default();
    let text = text.replace(['\r', '\n'], "");
    match STANDARD.decode(&text) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
        Err(_) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
            let at = text.bytes().position(|b| !legal(b)).unwrap_or(text.len());
            Err(format!(
                "base64 decode failed: illegal base64 data at input byte {at}"
            ))
        }
    }
}

fn len(value: &Val) -> Result<Val, String> {
    let count = match value {
        Val::Tree(Value::String(text)) => text.len(),
        Val::Tree(Value::Array(items)) => items.len(),
        Val::Tree(Value::Object(map)) => map.len(),
        value if value.is_nil() => {
            return Err("reflect: call of reflect.Value.Type on zero Value".to_string());
        }
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Val::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn position(index: &Val, length: usize) -> Result<usize, String> {
    let Some(i) = index.int() else {
        return Err(match index.is_nil() {
            true => "cannot index slice/array with nil".to_string(),
            false => format!("cannot index slice/array with type {}", index.type_name()),
        });
    };
    let inside = usize::try_from(i).ok().filter(|&i| i < length);
    inside.ok_or(format!("index out of range: {i}"))
}

fn index(args: &[Val]) -> Result<Val, String> {
    if args[0].is_nil() {
        return Err("index of untyped nil".to_string());
    }
    let mut item = args[0].clone();
    for key in &args[1..] {
        item = match &item {
            Val::Tree(Value::Array(items)) => items[position(key, items.len())?].clone().into(),
            Val::Tree(Value::String(text)) => {
                Val::Int(i64::from(text.as_bytes()[position(key, text.len())?]))
            }
            Val::Tree(Value::Object(map)) => match key.text() {
                Some(name) => map.get(name).map_or(Val::Missing, |v| v.clone().into()),
                None if key.is_nil() => return Err("value is nil; should be of type string".into()),
                None => {
                    return Err(format!(
                        "value has type {}; should be string",
                        key.type_name()
                    ));
                }
            },
            nil if nil.is_nil() => return Err("index of nil pointer".to_string()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

fn slice(args: &[Val]) -> Result<Val, String> {
    let (item, indexes) = (&args[0], &args[1..]);
    if item.is_nil() {
        return Err("slice of untyped nil".to_string());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match item {
        Val::Tree(Value::String(_)) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_string());
        }
        Val::Tree(Value::String(text)) => text.len(),
        Val::Tree(Value::Array(items)) => items.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut bounds = [0, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length + 1)?;
    }
    let [from, to] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match item {
        Val::Tree(Value::String(text)) => String::from_utf8_lossy(&text.as_bytes()[from..to])
            .into_owned()
            .into(),
        Val::Tree(Value::Array(items)) => Value::Array(items[from..to].to_vec()).into(),
        _ => Val::Missing,
    })
}

fn exists(args: &[Val]) -> Result<Val, String> {
    let found = index(args).is_ok_and(|value| value != Val::Missing);
    Ok(found.into())
}
