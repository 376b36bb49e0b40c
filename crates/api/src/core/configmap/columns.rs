//! What `kubectl get configmaps` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::{Field, Value};

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("Data", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let root = Field::root(object);
    let keys = root.get("data").len() + root.get("binaryData").len();
    vec![
        print::name(object),
        keys.to_string().into(),
        print::age(object, now),
    ]
}
