//! What `kubectl get deployments` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Ready", "string"),
    Column::new("Up-to-date", "string"),
    Column::new("Available", "string"),
    AGE,
    Column::wide("Containers", "string"),
    Column::wide("Images", "string"),
    Column::wide("Selector", "string"),
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = |key| object.i64_at(&["status", key]).unwrap_or_default();
    let desired = object.i64_at(&["spec", "replicas"]).unwrap_or_default();
    let (names, images) = print::containers(object.at(&["spec", "template", "spec"]));
    vec![
        print::name(object),
        format!("{}/{desired}", status("readyReplicas")).into(),
        status("updatedReplicas").into(),
        status("availableReplicas").into(),
        print::age(object, now),
        names.into(),
        images.into(),
        print::selector(object.at(&["spec", "selector"])).into(),
    ]
}
