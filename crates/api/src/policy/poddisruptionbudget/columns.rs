//! What `kubectl get poddisruptionbudgets` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Min Available", "string"),
    Column::new("Max Unavailable", "string"),
    Column::new("Allowed Disruptions", "integer"),
    AGE,
];

pub(super) fn cells(budget: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |key: &str| match print::text_at(budget, &format!("spec.{key}")) {
        text if text.is_empty() => "N/A".to_string(),
        text => text,
    };
    vec![
        print::name(budget),
        bound("minAvailable").into(),
        bound("maxUnavailable").into(),
        print::int_at(budget, &["status", "disruptionsAllowed"]),
        print::age(budget, now),
    ]
}
