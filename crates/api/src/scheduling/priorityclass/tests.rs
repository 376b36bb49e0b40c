//! Cases of PriorityClass.

use super::PriorityClass;
use crate::testing::{check_columns, check_default, check_update, check_valid};
use meta::value;

#[test]
fn the_highest_classes_are_the_systems() {
    check_valid(
        &PriorityClass,
        value!({"metadata": {"name": "system-node-critical"}, "value": 2000001000}),
        &[],
    );
    check_valid(
        &PriorityClass,
        value!({"metadata": {"name": "system-x"}, "value": 1}),
        &[
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
        ],
    );
    check_valid(
        &PriorityClass,
        value!({"metadata": {"name": "x"}, "value": 1000000001}),
        &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    );
    check_update(
        &PriorityClass,
        &value!({"value": 1, "preemptionPolicy": "Never"}),
        value!({"value": 2, "preemptionPolicy": "PreemptLowerPriority"}),
        &[
            "value: Forbidden: may not be changed in an update.",
            "preemptionPolicy: Invalid value: \"PreemptLowerPriority\": field is immutable",
        ],
    );
}

#[test]
fn a_class_preempts() {
    check_default(
        &PriorityClass,
        value!({"value": 1}),
        value!({"value": 1, "preemptionPolicy": "PreemptLowerPriority"}),
    );
    check_columns(
        &PriorityClass,
        &value!({"metadata": {"name": "p"}, "value": 7, "preemptionPolicy": "Never"}),
        "2024-01-01T00:00:00Z",
        &["p", "7", "false", "<unknown>", "Never"],
    );
}
