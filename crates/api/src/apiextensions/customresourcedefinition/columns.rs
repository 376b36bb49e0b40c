//! What `kubectl get crds` prints.

use crate::kind::{CREATED_AT, Column, NAME};
use crate::print;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, CREATED_AT];

pub(super) fn cells(object: &Value) -> Vec<Value> {
    vec![print::name(object), print::created_at(object)]
}
