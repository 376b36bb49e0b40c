//! `eq`, `lt` and their kin: only equal kinds of basic values compare.

use super::value::Val;
use meta::{Number, Value};
use std::cmp::Ordering;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

fn basic(value: &Val) -> Option<Basic<'_>> {
    match value {
        Val::Int(i) | Val::Tree(Value::Number(Number::Int(i))) => Some(Basic::Int(*i)),
        Val::Tree(Value::Number(Number::Float(x))) => Some(Basic::Float(*x)),
        Val::Tree(Value::Bool(b)) => Some(Basic::Bool(*b)),
        Val::Tree(Value::String(text)) => Some(Basic::Text(text)),
        _ => None,
    }
}

/// Whether the first is equal to any of the others.
pub(super) fn equal(args: &[Val]) -> Result<bool, String> {
    let Some((first, others)) = args.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err("missing argument for comparison".to_string());
    };
    for other in others {
        if same(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn same(a: &Val, b: &Val) -> Result<bool, String> {
    match (basic(a), basic(b)) {
        (Some(Basic::Bool(a)), Some(Basic::Bool(b))) => Ok(a == b),
        (Some(Basic::Int(a)), Some(Basic::Int(b))) => Ok(a == b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => Ok(a == b),
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => Ok(a == b),
        _ if a.is_nil() || b.is_nil() => Ok(a.is_nil() && b.is_nil()),
        (None, None) => {
            let (kind, shown) = (a.type_name(), a.print());
            Err(format!("non-comparable type {shown}: {kind}"))
        }
        _ => Err(INCOMPATIBLE.to_string()),
    }
}

/// How two values are ordered; nothing for what is not a number.
pub(super) fn order(a: &Val, b: &Val) -> Result<Option<Ordering>, String> {
    let (Some(a), Some(b)) = (basic(a), basic(b)) else {
        return Err(INVALID.to_string());
    };
    match (a, b) {
        (Basic::Int(a), Basic::Int(b)) => Ok(Some(a.cmp(&b))),
        (Basic::Float(a), Basic::Float(b)) => Ok(a.partial_cmp(&b)),
        (Basic::Text(a), Basic::Text(b)) => Ok(Some(a.cmp(b))),
        (Basic::Bool(_), Basic::Bool(_)) => Err(INVALID.to_string()),
        _ => Err(INCOMPATIBLE.to_string()),
    }
}
