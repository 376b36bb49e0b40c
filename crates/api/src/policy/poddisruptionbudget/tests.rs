//! Cases of PodDisruptionBudget.

use super::PodDisruptionBudget;
use crate::testing::{check_columns, check_update, check_valid};
use meta::value;

#[test]
fn it_says_one_bound() {
    let check = |spec, wanted: &[&str]| {
        check_valid(&PodDisruptionBudget, value!({"spec": spec}), wanted);
    };
    check(value!({"minAvailable": 1, "selector": {}}), &[]);
    check(
        value!({"maxUnavailable": "50%", "selector": {"matchLabels": {"a": "b"}}}),
        &[],
    );
    check(
        value!({"minAvailable": 1, "maxUnavailable": 1, "selector": {}}),
        &[
            "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1,\"selector\":{}}: minAvailable and maxUnavailable cannot be both set",
        ],
    );
    check(
        value!({"minAvailable": "101%"}),
        &["spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%"],
    );
    check(
        value!({"minAvailable": -1, "unhealthyPodEvictionPolicy": "Maybe"}),
        &[
            "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Maybe\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
        ],
    );
}

#[test]
fn columns_show_the_bound_and_what_may_go() {
    let budget = value!({
        "metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2},
    });
    let cells = ["a", "50%", "N/A", "2", "5m"];
    check_columns(
        &PodDisruptionBudget,
        &budget,
        "2024-01-01T00:05:00Z",
        &cells,
    );
}

#[test]
fn a_selector_that_was_wrong_before_may_stay() {
    let budget = |min: i64, value: &str| {
        let expression = value!({"key": "a", "operator": "In", "values": [value]});
        value!({"spec": {"minAvailable": min, "selector": {"matchExpressions": [expression]}}})
    };
    let check = |old, new, wanted: &[&str]| {
        check_update(&PodDisruptionBudget, &old, new, wanted);
    };
    check(budget(1, "-"), budget(2, "-"), &[]);
    check(
        budget(1, "b"),
        budget(1, "-"),
        &[
            "spec.selector.matchExpressions[0].values[0]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ],
    );
}
