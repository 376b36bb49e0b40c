//! What of a pod is the server's to say. Follows pkg/registry/core/pod/strategy.go.

use super::{qos, spec};
use crate::fill::{items, part};
use crate::kind::Door;
use meta::object::Object as _;
use meta::{Value, value};

/// A new pod is pending, whatever its author says.
pub(super) fn prepare_create(pod: &mut Value) {
    let class = qos::class(pod);
    let mut status = value!({"phase": "Pending", "qosClass": class});
    if !pod.items_at(&["spec", "schedulingGates"]).is_empty() {
        status.set_at(
            &["conditions"],
            vec![value!({
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates"
            })],
        );
    }
    pod.make_object().insert("status", status);
    let labels = pod.labels().cloned().unwrap_or_default();
    if let Some(spec) = part(pod, "spec") {
        spec::drop_disabled(spec);
        match_own_labels(spec, &labels);
    }
}

pub(super) fn prepare_update(pod: &mut Value, old: &Value, door: Door) {
    match door {
        Door::Main => {}
        Door::Status => keep_own_part_of_status(pod, old),
        Door::Other("ephemeralcontainers") => keep_all_but_ephemeral(pod, old),
        Door::Other("resize") => keep_all_but_resources(pod, old),
        Door::Other(_) => {}
    }
    if let Some(spec) = part(pod, "spec") {
        spec::drop_disabled(spec);
    }
}

/// How long a pod gets to end: none when it runs nowhere or has ended.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let own = pod.i64_at(&["spec", "terminationGracePeriodSeconds"]);
    let seconds = asked.or(own).unwrap_or_default();
    let unscheduled = pod.str_at(&["spec", "nodeName"]).is_empty();
    let ended = matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed");
    match unscheduled || ended {
        true => 0,
        false if seconds < 0 => 1,
        false => seconds,
    }
}

/// Keys whose values the pod itself gives become expressions of the selector.
fn match_own_labels(spec: &mut Value, labels: &Value) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.at_mut(&["affinity", kind]) else {
            continue;
        };
        for term in items(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
            match_term(term, labels);
        }
        for weighted in items(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = part(weighted, "podAffinityTerm") {
                match_term(term, labels);
            }
        }
    }
    for constraint in items(spec, "topologySpreadConstraints") {
        match_keys(constraint, "matchLabelKeys", "In", labels);
    }
}

fn match_term(term: &mut Value, labels: &Value) {
    match_keys(term, "matchLabelKeys", "In", labels);
    match_keys(term, "mismatchLabelKeys", "NotIn", labels);
}

fn match_keys(term: &mut Value, list: &str, operator: &str, labels: &Value) {
    let label = |key: &Value| {
        let key = key.as_str()?;
        let value = labels.get(key)?.as_str()?;
        Some(value!({"key": key, "operator": operator, "values": [value]}))
    };
    let expressions: Vec<Value> = term.items_at(&[list]).iter().filter_map(label).collect();
    let Some(selector) = part(term, "labelSelector") else {
        return;
    };
    if !expressions.is_empty() {
        let map = selector.make_object().entry("matchExpressions");
        map.make_array().extend(expressions);
    }
}

/// Kubelets say how a pod is, not whose it is nor how well it is served.
fn keep_own_part_of_status(pod: &mut Value, old: &Value) {
    let owners = old.at(&["metadata", "ownerReferences"]).cloned();
    let metadata = pod.metadata_mut();
    match owners {
        Some(owners) => metadata.insert("ownerReferences", owners),
        None => metadata.remove("ownerReferences"),
    };
    let status = pod.make_object().entry("status");
    if status.str_at(&["qosClass"]).is_empty()
        && let Some(class) = old.at(&["status", "qosClass"])
    {
        status.set_at(&["qosClass"], class.clone());
    }
    keep_observed_generations(status, old);
}

/// A client that knows nothing of observed generations does not clear them.
fn keep_observed_generations(status: &mut Value, old: &Value) {
    let generation = |value: &Value| value.i64_at(&["observedGeneration"]).unwrap_or_default();
    let old_status = old.get("status").cloned().unwrap_or_default();
    if generation(status) == 0 && generation(&old_status) != 0 {
        status.set_at(&["observedGeneration"], generation(&old_status));
    }
    for condition in items(status, "conditions") {
        let ty = condition.str_at(&["type"]).to_string();
        let mut before = old_status.items_at(&["conditions"]).iter();
        let before = before
            .find(|c| c.str_at(&["type"]) == ty)
            .map_or(0, generation);
        if generation(condition) == 0 && before != 0 {
            condition.set_at(&["observedGeneration"], before);
        }
    }
}

fn keep_all_but_ephemeral(pod: &mut Value, old: &Value) {
    let ephemeral = pod.at(&["spec", "ephemeralContainers"]).cloned();
    restore(pod, old);
    let spec = pod.make_object().entry("spec").make_object();
    match ephemeral {
        Some(ephemeral) => spec.insert("ephemeralContainers", ephemeral),
        None => spec.remove("ephemeralContainers"),
    };
}

/// Containers that were added, removed or renamed stay, so that validation
/// sees them.
fn keep_all_but_resources(pod: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let names = |pod: &Value, list| -> Vec<String> {
        let containers = pod.items_at(&["spec", list]).iter();
        containers
            .map(|c| c.str_at(&["name"]).to_string())
            .collect()
    };
    if lists
        .iter()
        .any(|list| names(pod, list) != names(old, list))
    {
        return;
    }
    let asked = pod.clone();
    restore(pod, old);
    for list in lists {
        let Some(spec) = part(pod, "spec") else {
            return;
        };
        for (container, new) in items(spec, list).zip(asked.items_at(&["spec", list])) {
            for key in ["resources", "resizePolicy"] {
                let container = container.make_object();
                match new.get(key) {
                    Some(value) => container.insert(key, value.clone()),
                    None => container.remove(key),
                };
            }
        }
    }
}

fn restore(pod: &mut Value, old: &Value) {
    for part in ["spec", "status"] {
        let map = pod.make_object();
        match old.get(part) {
            Some(value) => map.insert(part, value.clone()),
            None => map.remove(part),
        };
    }
}
