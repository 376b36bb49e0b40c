//! Cases of ReplicaSet.

use super::ReplicaSet;
use crate::kind::{Door, Kind};
use crate::testing::{check_columns, check_valid};
use meta::{Errors, Field, Value, value};

fn set() -> Value {
    let mut object = value!({
        "metadata": {"name": "web", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {
            "selector": {"matchLabels": {"b": "2"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "template": {
                "metadata": {"labels": {"a": "1", "b": "2"}},
                "spec": {"containers": [{"name": "c", "image": "i:1"}]}
            }
        }
    });
    ReplicaSet.default(&mut object);
    object
}

#[test]
fn a_set_prints_its_numbers_and_selector() {
    let object = set();
    check_valid(&ReplicaSet, object.clone(), &[]);
    check_columns(
        &ReplicaSet,
        &object,
        "2024-01-01T00:00:05Z",
        &["web", "1", "0", "0", "5s", "c", "i:1", "a,b=2"],
    );
}

#[test]
fn an_empty_selector_is_refused() {
    let mut object = set();
    object.set_at(&["spec", "selector"], value!({}));
    check_valid(
        &ReplicaSet,
        object,
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
}

#[test]
fn no_part_is_more_than_the_whole() {
    let mut object = set();
    object.set_at(
        &["status"],
        value!({"replicas": 1, "readyReplicas": 2, "availableReplicas": -1}),
    );
    let mut errors = Errors::new();
    let root = Field::root(&object);
    ReplicaSet.validate_update(&root, &root, Door::Status, &mut errors);
    assert_eq!(
        errors.aggregate(),
        "[status.availableReplicas: Invalid value: -1: must be greater than or equal to 0, status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas]"
    );
}
