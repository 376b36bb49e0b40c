//! Comparisons of filters, on the terms of Go's templates: only equal kinds of
//! scalars compare.

use super::Error;
use crate::{Number, Value};
use std::cmp::Ordering;

/// Whether `left operator right` holds.
pub(super) fn holds(left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    match operator {
        "==" => Ok(order(left, right, true)? == Some(Ordering::Equal)),
        "!=" => Ok(order(left, right, true)? != Some(Ordering::Equal)),
        "<" => Ok(order(left, right, false)? == Some(Ordering::Less)),
        "<=" => Ok(at_most(left, right)?),
        ">" => Ok(!at_most(left, right)?),
        ">=" => Ok(order(left, right, false)? != Some(Ordering::Less)),
        other => Err(Error(format!("unrecognized filter operator {other}"))),
    }
}

fn at_most(left: &Value, right: &Value) -> Result<bool, Error> {
    Ok(matches!(
        order(left, right, false)?,
        Some(Ordering::Less | Ordering::Equal)
    ))
}

fn order(left: &Value, right: &Value, equality: bool) -> Result<Option<Ordering>, Error> {
    let invalid = || Error("invalid type for comparison".to_string());
    let basic = |v: &Value| !matches!(v, Value::Null | Value::Array(_) | Value::Object(_));
    if !basic(left) || !basic(right) {
        return Err(invalid());
    }
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) if equality => Ok(Some(a.cmp(b))),
        (Value::Bool(_), Value::Bool(_)) => Err(invalid()),
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        (Value::Number(Number::Int(a)), Value::Number(Number::Int(b))) => Ok(Some(a.cmp(b))),
        (Value::Number(Number::Float(a)), Value::Number(Number::Float(b))) => Ok(a.partial_cmp(b)),
        _ => Err(Error("incompatible types for comparison".to_string())),
    }
}
