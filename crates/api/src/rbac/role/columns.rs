//! What `kubectl get roles` prints.

use crate::kind::{CREATED_AT, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, CREATED_AT];

pub(super) fn cells(object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![print::name(object), print::created_at(object)]
}
