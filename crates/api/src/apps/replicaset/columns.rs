//! What `kubectl get replicasets` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Desired", "integer"),
    Column::new("Current", "integer"),
    Column::new("Ready", "integer"),
    AGE,
    Column::wide("Containers", "string"),
    Column::wide("Images", "string"),
    Column::wide("Selector", "string"),
];

/// The cells of anything that keeps a number of pods, given its selector's text.
pub(crate) fn cells(object: &Value, selector: String, now: Timestamp) -> Vec<Value> {
    let (names, images) = print::containers(object.at(&["spec", "template", "spec"]));
    vec![
        print::name(object),
        print::int_at(object, &["spec", "replicas"]),
        print::int_at(object, &["status", "replicas"]),
        print::int_at(object, &["status", "readyReplicas"]),
        print::age(object, now),
        names.into(),
        images.into(),
        selector.into(),
    ]
}
