//! Filling in what a client left out.

use meta::{Quantity, Value};

/// Sets a field that is absent. What Go keeps behind a pointer is absent or
/// said; zero is something said.
pub(crate) fn absent(object: &mut Value, key: &str, value: impl Into<Value>) {
    let slot = object.make_object();
    if slot.get(key).is_none_or(Value::is_null) {
        slot.insert(key, value);
    }
}

/// Sets a field that is absent or zero.
pub(crate) fn empty(object: &mut Value, key: &str, value: impl Into<Value>) {
    let slot = object.make_object();
    if slot.get(key).is_none_or(Value::is_empty) {
        slot.insert(key, value);
    }
}

/// The items of a list, to change; none when it is absent.
pub(crate) fn items<'a>(
    object: &'a mut Value,
    list: &str,
) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// A field that is there and holds an object, to change.
pub(crate) fn part<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    object.get_mut(key).filter(|v| v.as_object().is_some())
}

/// Rounds the quantities of a resource list up to thousandths, which is as
/// fine as they are kept.
pub(crate) fn round_to_milli(list: Option<&mut Value>) {
    let Some(list) = list.and_then(Value::as_object_mut) else {
        return;
    };
    for (_, value) in list.iter_mut() {
        let Some(Ok(quantity)) = value.as_str().map(str::parse::<Quantity>) else {
            continue;
        };
        let rounded = Quantity::from_milli(quantity.milli_value());
        let fits = quantity.milli_value() < i64::MAX;
        if rounded != quantity && fits {
            *value = rounded.to_string().into();
        }
    }
}
