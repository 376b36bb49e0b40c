//! Scale: how many, as a kind of its own that several kinds wear as a
//! subresource. Follows pkg/registry/apps/deployment/storage and
//! pkg/apis/autoscaling/validation.

use crate::print;
use meta::object::Object as _;
use meta::{Errors, Field, Value, value};

/// The scale of a workload.
pub fn read(object: &Value) -> Value {
    let mut metadata = meta::Map::new();
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object.metadata().and_then(|m| m.get(key)) {
            metadata.insert(key, value.clone());
        }
    }
    let count = |keys: &[&str]| object.i64_at(keys).unwrap_or_default();
    let mut status = value!({"replicas": count(&["status", "replicas"])});
    let selector = selector(object);
    if !selector.is_empty() {
        status.set_at(&["selector"], selector);
    }
    value!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": count(&["spec", "replicas"])},
        "status": status
    })
}

/// Gives a workload the number of a scale.
pub fn write(object: &mut Value, scale: &Value) {
    let replicas = scale.i64_at(&["spec", "replicas"]).unwrap_or_default();
    object.set_at(&["spec", "replicas"], replicas);
}

/// What is wrong with a scale.
pub fn validate(scale: &Field<'_>, errors: &mut Errors) {
    crate::check::nonnegative(&scale.at(&["spec", "replicas"]), errors);
}

/// ReplicationControllers select by a plain map.
fn selector(object: &Value) -> String {
    let selector = object.at(&["spec", "selector"]);
    let is_map = selector
        .is_some_and(|s| s.get("matchLabels").is_none() && s.get("matchExpressions").is_none());
    let text = match is_map {
        true => print::labels(selector),
        false => print::selector(selector),
    };
    match text.as_str() {
        "<none>" => String::new(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use meta::{Errors, Field, value};

    #[test]
    fn a_scale_is_a_view_of_a_workload() {
        let mut object = value!({
            "metadata": {"name": "web", "namespace": "d", "labels": {"a": "b"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"replicas": 1}
        });
        let mut scale = super::read(&object);
        assert_eq!(
            scale,
            value!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "web", "namespace": "d"},
                "spec": {"replicas": 2}, "status": {"replicas": 1, "selector": "app=web"}
            })
        );
        scale.set_at(&["spec", "replicas"], 5);
        super::write(&mut object, &scale);
        assert_eq!(object.i64_at(&["spec", "replicas"]), Some(5));
        scale.set_at(&["spec", "replicas"], -1);
        let mut errors = Errors::new();
        super::validate(&Field::root(&scale), &mut errors);
        assert_eq!(
            errors.aggregate(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
    }
}
