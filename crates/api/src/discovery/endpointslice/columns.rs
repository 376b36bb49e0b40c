//! What `kubectl get endpointslices` prints. Follows pkg/printers/internalversion/printers.go.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("AddressType", "string"),
    Column::new("Ports", "string"),
    Column::new("Endpoints", "string"),
    AGE,
];

pub(super) fn cells(slice: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(slice),
        slice.str_at(&["addressType"]).into(),
        few(slice.items_at(&["ports"]).iter().map(port)).into(),
        few(addresses(slice)).into(),
        print::age(slice, now),
    ]
}

fn port(port: &Value) -> String {
    match (port.i64_at(&["port"]), port.str_at(&["name"])) {
        (Some(number), _) => number.to_string(),
        (None, "") => "*".into(),
        (None, name) => name.into(),
    }
}

fn addresses(slice: &Value) -> impl Iterator<Item = String> {
    let endpoints = slice.items_at(&["endpoints"]).iter();
    endpoints
        .flat_map(|e| e.items_at(&["addresses"]))
        .filter_map(Value::as_str)
        .map(str::to_string)
}

fn few(items: impl Iterator<Item = String>) -> String {
    match print::a_few(items) {
        (shown, _) if shown.is_empty() => "<unset>".into(),
        (shown, Some(more)) => format!("{shown} + {more} more..."),
        (shown, None) => shown,
    }
}
