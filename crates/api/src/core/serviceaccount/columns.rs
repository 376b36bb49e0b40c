//! What `kubectl get serviceaccounts` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("Secrets", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        (object.items_at(&["secrets"]).len() as i64).into(),
        print::age(object, now),
    ]
}
