//! Cases of ControllerRevision.

use super::ControllerRevision;
use crate::testing::{check_columns, check_update, check_valid};
use meta::value;

#[test]
fn a_revision_is_of_something_and_stays() {
    check_valid(
        &ControllerRevision,
        value!({"revision": -1}),
        &[
            "data: Required value: data is mandatory",
            "revision: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check_update(
        &ControllerRevision,
        &value!({"data": {"a": 1}}),
        value!({"data": {"a": 2}}),
        &["data: Invalid value: {\"a\":2}: field is immutable"],
    );
}

#[test]
fn columns_name_the_controller() {
    let object = value!({"metadata": {"name": "r", "creationTimestamp": "2024-01-01T00:00:00Z", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "controller": true}
    ]}, "revision": 3});
    check_columns(
        &ControllerRevision,
        &object,
        "2024-01-01T00:00:05Z",
        &["r", "statefulset.apps/s", "3", "5s"],
    );
}
