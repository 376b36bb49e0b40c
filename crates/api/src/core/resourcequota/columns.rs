//! What `kubectl get resourcequotas` prints: used of allowed, requests and
//! limits apart. Follows pkg/printers/internalversion/printers.go.

use crate::core::pod::amounts;
use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Request", "string"),
    Column::new("Limit", "string"),
    AGE,
];

pub(super) fn cells(quota: &Value, now: Timestamp) -> Vec<Value> {
    let hard = amounts::read(quota.at(&["status", "hard"]));
    let used = amounts::read(quota.at(&["status", "used"]));
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in &hard {
        let used = used.get(name).copied().unwrap_or_default();
        let column = match name.starts_with("limits.") {
            true => &mut limits,
            false => &mut requests,
        };
        column.push(format!("{name}: {used}/{hard}"));
    }
    vec![
        print::name(quota),
        requests.join(", ").into(),
        limits.join(", ").into(),
        print::age(quota, now),
    ]
}
