//! Paths into trees: lists on the way stand for all of their items.

use meta::Value;

/// Calls `change` with what is at the end of a path, which is made on request.
pub(super) fn visit(
    value: &mut Value,
    path: &[&str],
    create: bool,
    change: &mut dyn FnMut(&mut Value),
) {
    if let Value::Array(items) = value
        && !path.is_empty()
    {
        for item in items {
            visit(item, path, create, change);
        }
        return;
    }
    let Some((first, rest)) = path.split_first() else {
        return change(value);
    };
    let Value::Object(map) = value else {
        return;
    };
    if create && map.get(first).is_none_or(Value::is_null) {
        map.insert(
            *first,
            if rest.is_empty() {
                Value::Null
            } else {
                Value::object()
            },
        );
    }
    if let Some(below) = map.get_mut(first) {
        visit(below, rest, create, change);
    }
}

/// The path to the pod spec of kinds that have one.
pub(super) fn pod_spec(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "PodTemplate" => Some(&["template", "spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "DaemonSet"
        | "Deployment"
        | "Job"
        | "ReplicaSet"
        | "ReplicationController"
        | "StatefulSet" => Some(&["spec", "template", "spec"]),
        _ => None,
    }
}
