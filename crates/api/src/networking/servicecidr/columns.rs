//! What `kubectl get servicecidrs` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("CIDRs", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        cidrs(object).into(),
        print::age(object, now),
    ]
}

fn cidrs(object: &Value) -> String {
    let cidrs = object.items_at(&["spec", "cidrs"]);
    let cidrs: Vec<&str> = cidrs.iter().filter_map(Value::as_str).collect();
    cidrs.join(",")
}
