//! The difference between two statuses of a pod, as a strategic merge patch.
//!
//! Only fields and conditions of the kubelet are named, so that what others
//! write into a status (readiness gates, disruption targets) is left alone.

use serde_json::{Map, Value, json};
use typed::Wire;
use typed::api::core::v1::PodStatus;

use super::conditions::{DISRUPTION, OWNED};

/// Fields of a pod's status that the kubelet writes.
const FIELDS: [&str; 15] = [
    "containerStatuses",
    "ephemeralContainerStatuses",
    "hostIP",
    "hostIPs",
    "initContainerStatuses",
    "message",
    "observedGeneration",
    "phase",
    "podIP",
    "podIPs",
    "qosClass",
    "reason",
    "resources",
    "startTime",
    "allocatedResources",
];

/// Lists that the server would merge item by item instead of taking them whole.
const MERGED: [&str; 2] = ["hostIPs", "podIPs"];

/// The patch that makes `old` into `new`; none when there is nothing to change.
pub fn patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let (old, new) = (tree(old), tree(new));
    let mut changes = Map::new();
    for field in FIELDS {
        match (old.get(field), new.get(field)) {
            (before, after) if before == after => {}
            (_, None) => {
                changes.insert(field.to_owned(), Value::Null);
            }
            (before, Some(after)) => {
                let replaces = MERGED.contains(&field) && before.is_some();
                let value = match after {
                    Value::Array(items) if replaces => {
                        let mut whole = vec![json!({"$patch": "replace"})];
                        whole.extend(items.iter().cloned());
                        Value::Array(whole)
                    }
                    other => other.clone(),
                };
                changes.insert(field.to_owned(), value);
            }
        }
    }
    let conditions = changed_conditions(&old, &new);
    if !conditions.is_empty() {
        changes.insert("conditions".to_owned(), Value::Array(conditions));
    }
    if changes.is_empty() {
        return None;
    }
    Some(json!({"metadata": {"uid": uid}, "status": changes}))
}

fn changed_conditions(old: &Value, new: &Value) -> Vec<Value> {
    let list = |status: &Value| -> Vec<Value> {
        let conditions = status.get("conditions").and_then(Value::as_array);
        conditions.cloned().unwrap_or_default()
    };
    let old = list(old);
    let changed = list(new).into_iter().filter(|condition| {
        let kind = condition["type"].as_str().unwrap_or_default();
        (OWNED.contains(&kind) || kind == DISRUPTION) && !old.contains(condition)
    });
    let with_nulls = changed.map(|mut condition| {
        let before = old.iter().find(|known| known["type"] == condition["type"]);
        for field in ["reason", "message"] {
            let had = before.is_some_and(|known| known.get(field).is_some());
            if had && condition.get(field).is_none() {
                condition[field] = Value::Null;
            }
        }
        condition
    });
    with_nulls.collect()
}

fn tree(status: &PodStatus) -> Value {
    // What was just written is valid JSON.
    serde_json::from_slice(&status.encode()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        PodStatus::decode(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_differences_are_written() {
        let old = status(json!({
            "phase": "Pending", "reason": "Odd", "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
                {"type": "PodScheduled", "status": "True"},
                {"type": "example.com/gate", "status": "False"},
            ],
        }));
        assert_eq!(patch("u", &old, &old), None);
        let new = status(json!({
            "phase": "Running", "podIPs": [{"ip": "10.0.0.2"}],
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "PodScheduled", "status": "True"},
                {"type": "example.com/gate", "status": "True"},
            ],
        }));
        assert_eq!(
            patch("u", &old, &new),
            Some(json!({"metadata": {"uid": "u"}, "status": {
                "phase": "Running", "reason": null,
                "podIPs": [{"$patch": "replace"}, {"ip": "10.0.0.2"}],
                "conditions": [{"type": "Ready", "status": "True", "reason": null}],
            }}))
        );
    }
}
