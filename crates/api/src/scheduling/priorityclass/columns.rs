//! What `kubectl get priorityclasses` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Value", "integer"),
    Column::new("Global-Default", "boolean"),
    AGE,
    Column::new("PreemptionPolicy", "string"),
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        print::int_at(object, &["value"]),
        object.is_true_at(&["globalDefault"]).into(),
        print::age(object, now),
        object.str_at(&["preemptionPolicy"]).into(),
    ]
}
