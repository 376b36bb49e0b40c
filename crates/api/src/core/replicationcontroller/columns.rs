//! What `kubectl get replicationcontrollers` prints.

use crate::kind::Column;
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = crate::apps::replicaset::COLUMNS;

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let selector = print::labels(object.at(&["spec", "selector"]));
    crate::apps::replicaset::cells(object, selector, now)
}
