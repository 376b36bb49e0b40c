//! What of a pod may change, through the pod itself and through the doors
//! beside it. Follows pkg/apis/core/validation/validation.go (ValidatePodUpdate,
//! ValidatePodResize, ValidatePodEphemeralContainersUpdate).

use super::tolerance::Tolerance;
use super::{qos, spec, validate};
use crate::check::{self, INT32_MAX};
use crate::fill::items;
use crate::metadata::{same, same_value};
use meta::{Errors, Field, FieldError, Quantity, Value};

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A change through the pod itself.
pub(super) fn main(pod: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    validate::pod_and_spec(pod, Tolerance::of(old), errors);
    validate::annotations_update(pod, old, errors);
    let (spec, old) = (pod.get("spec"), old.get("spec"));
    for list in ["containers", "initContainers"] {
        if !same_containers(&spec.get(list), &old.get(list), errors) {
            return;
        }
    }
    if !deadline(&spec, &old, errors) {
        return;
    }
    only_added_tolerations(&spec, &old, errors);
    only_deleted_gates(&spec, &old, errors);
    if same(&spec, &old) {
        return;
    }
    let mut munged = spec.value.cloned().unwrap_or_default();
    forgive(&mut munged, &old);
    if !old.get("schedulingGates").is_empty() {
        forgive_gated(&mut munged, &spec, &old, errors);
    }
    let before = old.value.cloned().unwrap_or_default();
    if !same_value(Some(&munged), Some(&before)) {
        errors.push(spec.forbidden(format!(
            "pod updates may not change fields other than {UPDATABLE}\n{}",
            diff(&before, &munged)
        )));
    }
}

/// Containers are neither added nor removed; says whether one may go on.
fn same_containers(list: &Field<'_>, old: &Field<'_>, errors: &mut Errors) -> bool {
    if list.len() != old.len() {
        errors.push(list.forbidden("pod updates may not add or remove containers"));
        return false;
    }
    for container in list.items() {
        check::required(&container.get("image"), errors);
        spec::validate_image_is_trimmed(&container, errors);
    }
    true
}

/// A deadline is set once, and then only shortened; says whether one may go on.
fn deadline(spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) -> bool {
    let key = "activeDeadlineSeconds";
    let (new, old) = (spec.get(key), old.get(key));
    match (new.i64(), old.i64()) {
        (Some(seconds), _) if !(0..=INT32_MAX).contains(&seconds) => {
            check::range(&new, 0, INT32_MAX, errors);
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            errors.push(new.invalid("must be less than or equal to previous value"));
            false
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(&new.path, Value::Null, detail));
            true
        }
        _ => true,
    }
}

fn only_added_tolerations(spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (new, old) = (spec.get("tolerations"), old.get("tolerations"));
    let timeless = |t: &Field<'_>| {
        let mut value = t.value.cloned().unwrap_or_default();
        value.remove_at(&["tolerationSeconds"]);
        value
    };
    let kept: Vec<Value> = new.items().map(|t| timeless(&t)).collect();
    if old.items().any(|t| !kept.contains(&timeless(&t))) {
        errors.push(
            new.forbidden("existing toleration can not be modified except its tolerationSeconds"),
        );
        return;
    }
    spec::validate_tolerations(&new, errors);
}

fn only_deleted_gates(spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let old = old.get("schedulingGates");
    for gate in spec.get("schedulingGates").items() {
        let name = gate.get("name");
        if !old.items().any(|o| o.get("name").str() == name.str()) {
            errors.push(name.forbidden(format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.str()
            )));
        }
    }
}

/// Puts back what may differ, so that what differs still may not.
fn forgive(munged: &mut Value, old: &Field<'_>) {
    for list in ["containers", "initContainers"] {
        for (container, before) in items(munged, list).zip(old.get(list).items()) {
            put_back(container, &before, "image");
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put_back(munged, old, key);
    }
    let grace = "terminationGracePeriodSeconds";
    if old.get(grace).int() < 0 && munged.i64_at(&[grace]) == Some(1) {
        put_back(munged, old, grace);
    }
}

fn put_back(munged: &mut Value, old: &Field<'_>, key: &str) {
    let map = munged.make_object();
    match old.get(key).value {
        Some(value) => map.insert(key, value.clone()),
        None => map.remove(key),
    };
}

/// A pod that waits behind gates may be steered more narrowly.
fn forgive_gated(munged: &mut Value, spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (selector, before) = (spec.get("nodeSelector"), old.get("nodeSelector"));
    if before
        .entries()
        .any(|(key, v)| selector.get(key).value != v.value)
    {
        errors.push(selector.invalid(
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ));
    }
    put_back(munged, old, "nodeSelector");
    let keys = ["affinity", "nodeAffinity"];
    only_narrower_affinity(&spec.at(&keys), &old.at(&keys), errors);
    match old.at(&keys).value {
        Some(value) => munged.set_at(&keys, value.clone()),
        None => {
            munged.remove_at(&keys);
            let gone = munged.get("affinity").is_some_and(Value::is_empty);
            if gone && !old.get("affinity").is_present() {
                munged.remove_at(&["affinity"]);
            }
        }
    }
}

fn only_narrower_affinity(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let keys = [
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let (terms, before) = (new.at(&keys), old.at(&keys));
    if before.is_empty() {
        return;
    }
    if before.len() != terms.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(terms.invalid(detail));
        return;
    }
    for (term, before) in terms.items().zip(before.items()) {
        if !only_adds(&term, &before) {
            errors.push(term.invalid("only additions are allowed (no mutations or deletions)"));
        }
    }
}

fn only_adds(term: &Field<'_>, before: &Field<'_>) -> bool {
    let lists = ["matchExpressions", "matchFields"];
    let was_empty = lists.iter().all(|l| before.get(l).is_empty());
    let is_empty = lists.iter().all(|l| term.get(l).is_empty());
    if was_empty {
        return is_empty;
    }
    lists.iter().all(|list| {
        let (new, old) = (term.get(list), before.get(list));
        new.len() >= old.len()
            && new
                .items()
                .zip(old.items())
                .all(|(a, b)| a.value == b.value)
    })
}

/// The places at which two trees differ, with what stood and stands there.
fn diff(old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    differ("", Some(old), Some(new), &mut lines);
    format!("  core.PodSpec{{\n{}\n  }}\n", lines.join("\n"))
}

fn differ(path: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    if same_value(old, new) {
        return;
    }
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = (old, new) {
        let added = b.keys().filter(|key| !a.contains_key(key));
        for key in a.keys().chain(added) {
            let path = if path.is_empty() {
                key.to_string()
            } else {
                format!("{path}.{key}")
            };
            differ(&path, a.get(key), b.get(key), lines);
        }
        return;
    }
    if let (Some(Value::Array(a)), Some(Value::Array(b))) = (old, new) {
        for i in 0..a.len().max(b.len()) {
            differ(&format!("{path}[{i}]"), a.get(i), b.get(i), lines);
        }
        return;
    }
    lines.extend(old.map(|value| format!("- \t{path}: {value}")));
    lines.extend(new.map(|value| format!("+ \t{path}: {value}")));
}

/// A change of ephemeral containers: they are only added.
pub(super) fn ephemeral_containers(pod: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    validate::pod_and_spec(pod, Tolerance::of(old), errors);
    validate::annotations_update(pod, old, errors);
    if refuse_mirror(
        old,
        "static pods do not support ephemeral containers",
        errors,
    ) {
        return;
    }
    let list = pod.at(&["spec", "ephemeralContainers"]);
    for before in old.at(&["spec", "ephemeralContainers"]).items() {
        let name = before.get("name").str();
        let detail = match list.items().find(|c| c.get("name").str() == name) {
            None => format!("existing ephemeral containers {name:?} may not be removed\n"),
            Some(now) if !same(&now, &before) => {
                format!("existing ephemeral containers {name:?} may not be changed\n")
            }
            Some(_) => continue,
        };
        errors.push(list.forbidden(detail));
    }
}

/// Whether a pod is a mirror of a file on its node, which refuses the change.
fn refuse_mirror(old: &Field<'_>, detail: &str, errors: &mut Errors) -> bool {
    let annotations = old.at(&["metadata", "annotations"]);
    let is_mirror = annotations.get("kubernetes.io/config.mirror").is_present();
    if is_mirror {
        *errors = Errors::new();
        errors.push(Field::new(meta::Path::root(), None).forbidden(detail));
    }
    is_mirror
}

/// A change of what containers ask for: cpu and memory, and no other class.
pub(super) fn resize(pod: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    validate::pod_and_spec(pod, Tolerance::of(old), errors);
    if refuse_mirror(old, "static pods cannot be resized", errors) {
        return;
    }
    let (spec, before) = (pod.get("spec"), old.get("spec"));
    let class = |pod: &Field<'_>| pod.value.map_or("", qos::class);
    if class(pod) != class(old) {
        errors.push(FieldError::invalid(
            &spec.path,
            pod.at(&["status", "qosClass"]).str(),
            "Pod QOS Class may not change as a result of resizing",
        ));
    }
    for list in ["initContainers", "containers"] {
        for (container, was) in spec.get(list).items().zip(before.get(list).items()) {
            resize_container(&spec, &container, &was, list, errors);
        }
    }
    let lists = ["initContainers", "containers"];
    if lists
        .iter()
        .any(|l| spec.get(l).len() != before.get(l).len())
    {
        errors.push(spec.forbidden("only cpu and memory resources are mutable"));
    }
}

fn resize_container(
    spec: &Field<'_>,
    container: &Field<'_>,
    old: &Field<'_>,
    list: &str,
    errors: &mut Errors,
) {
    if list == "initContainers" && old.get("restartPolicy").str() != "Always" {
        if !same(container, old) {
            let detail = "resources for non-sidecar init containers are immutable";
            errors.push(spec.forbidden(detail));
        }
        return;
    }
    let (new, before) = (container.get("resources"), old.get("resources"));
    for part in ["requests", "limits"] {
        let field = new.get(part);
        let gone = |(name, _): (&str, Field<'_>)| !field.get(name).is_present();
        if before.get(part).entries().any(gone) {
            errors.push(field.forbidden(format!("resource {part} cannot be removed")));
        }
    }
    memory_limit(container, old, errors);
    let mut munged = container.value.cloned().unwrap_or_default();
    let was = old.value.cloned().unwrap_or_default();
    for part in ["requests", "limits"] {
        for name in ["cpu", "memory"] {
            let keys = ["resources", part, name];
            match was.at(&keys) {
                Some(value) => munged.set_at(&keys, value.clone()),
                None => drop(munged.remove_at(&keys)),
            }
        }
    }
    if !same(&Field::root(&munged), &Field::root(&was)) {
        errors.push(spec.forbidden(match list {
            "containers" => "only cpu and memory resources are mutable",
            _ => "only cpu and memory resources for sidecar containers are mutable",
        }));
    }
}

/// Memory that is in use cannot be taken away from a process that runs on.
fn memory_limit(container: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let policies = container.get("resizePolicy");
    let restarts = policies.items().any(|p| {
        p.get("resourceName").str() == "memory"
            && p.get("restartPolicy").str() == "RestartContainer"
    });
    if restarts {
        return;
    }
    let limits = container.at(&["resources", "limits"]);
    let of = |c: &Field<'_>| -> Option<Quantity> {
        check::quantity(&c.at(&["resources", "limits", "memory"]))
    };
    let verb = match (of(container), of(old)) {
        (Some(new), Some(old)) if new < old => "decreased",
        (Some(_), None) => "added",
        _ => return,
    };
    let field = Field::new(limits.path.key("memory"), None);
    errors.push(field.forbidden(format!(
        "memory limits cannot be {verb} unless resizePolicy is RestartContainer"
    )));
}
