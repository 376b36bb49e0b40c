//! Cases of ReplicationController.

use super::ReplicationController;
use crate::kind::Kind;
use crate::testing::{check_columns, check_valid};
use meta::{Value, value};

fn controller() -> Value {
    let mut object = value!({
        "metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]}
        }}
    });
    ReplicationController.default(&mut object);
    object
}

#[test]
fn it_selects_what_its_template_makes() {
    let object = controller();
    assert_eq!(
        object.at(&["spec", "selector"]),
        Some(&value!({"app": "a"}))
    );
    assert_eq!(
        object.at(&["metadata", "labels"]),
        Some(&value!({"app": "a"}))
    );
    assert_eq!(object.i64_at(&["spec", "replicas"]), Some(1));
    check_valid(&ReplicationController, object.clone(), &[]);
    check_columns(
        &ReplicationController,
        &object,
        "2024-01-01T00:05:00Z",
        &["a", "1", "0", "0", "5m", "c", "i:1", "app=a"],
    );
}

#[test]
fn a_template_that_it_does_not_select_is_refused() {
    let mut object = controller();
    object.set_at(&["spec", "selector"], value!({"app": "b"}));
    object.set_at(&["spec", "replicas"], -1);
    check_valid(
        &ReplicationController,
        object,
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
        ],
    );
}
