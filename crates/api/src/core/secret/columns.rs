//! What `kubectl get secrets` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::{Field, Value};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Type", "string"),
    Column::new("Data", "string"),
    AGE,
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        object.str_at(&["type"]).into(),
        (Field::root(object).get("data").len() as i64).into(),
        print::age(object, now),
    ]
}
