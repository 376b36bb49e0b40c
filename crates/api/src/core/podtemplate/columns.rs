//! What `kubectl get podtemplates` prints.

use crate::kind::{Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Containers", "string"),
    Column::new("Images", "string"),
    Column::new("Pod Labels", "string"),
];

pub(super) fn cells(object: &Value, _now: Timestamp) -> Vec<Value> {
    let (names, images) = print::containers(object.at(&["template", "spec"]));
    let labels = object.at(&["template", "metadata", "labels"]);
    vec![
        print::name(object),
        names.into(),
        images.into(),
        print::labels(labels).into(),
    ]
}
