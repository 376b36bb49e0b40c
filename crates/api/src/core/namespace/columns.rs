//! What `kubectl get namespaces` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("Status", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        object.str_at(&["status", "phase"]).into(),
        print::age(object, now),
    ]
}
