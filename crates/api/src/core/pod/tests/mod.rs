//! Cases of Pod: how they are written, and a file for each side of it.

mod columns;
mod defaults;
mod rich;
mod spec;
mod update;

use super::Pod;
use crate::kind::{Door, Kind};
use meta::{Errors, Field, Value, value};

/// A pod of one container, with the fields of a spec over its own.
fn pod(spec: Value) -> Value {
    let mut pod = value!({
        "metadata": {"name": "p", "namespace": "d"},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]}
    });
    for (key, value) in spec.as_object().expect("an object").iter() {
        pod.set_at(&["spec", key], value.clone());
    }
    Pod.default(&mut pod);
    pod
}

/// A pod whose only container has these fields too.
fn pod_with(container: Value) -> Value {
    let mut all = value!({"name": "c", "image": "i:1"});
    for (key, value) in container.as_object().expect("an object").iter() {
        all.set_at(&[key], value.clone());
    }
    pod(value!({ "containers": [all] }))
}

fn lines(errors: Errors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(mut pod: Value, expected: &[&str]) {
    Pod.prepare_create(&mut pod);
    let mut errors = Errors::new();
    Pod.validate(&Field::root(&pod), &mut errors);
    assert_eq!(lines(errors), expected);
}

#[track_caller]
fn check_change(door: Door, old: &Value, mut new: Value, expected: &[&str]) {
    Pod.default(&mut new);
    Pod.prepare_update(&mut new, old, door);
    let mut errors = Errors::new();
    Pod.validate_update(&Field::root(&new), &Field::root(old), door, &mut errors);
    assert_eq!(lines(errors), expected);
}
