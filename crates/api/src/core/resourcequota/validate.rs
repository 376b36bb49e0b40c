//! What a ResourceQuota may hold. Follows ValidateResourceQuota in
//! pkg/apis/core/validation/validation.go.

use crate::core::pod::spec::{is_standard, validate_any_resource_name, validate_quantity};
use crate::metadata::same;
use meta::{Errors, Field, FieldError, Value};
use std::collections::BTreeSet;

/// What scopes of pods can be combined with.
const OF_PODS: &[&str] = &[
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.memory",
];

/// The scopes that select objects.
pub(super) const SCOPES: &[&str] = &[
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

const PAIRS: [(&str, &str); 2] = [
    ("BestEffort", "NotBestEffort"),
    ("Terminating", "NotTerminating"),
];

pub(super) fn spec(spec: &Field<'_>, errors: &mut Errors) {
    let hard = spec.get("hard");
    validate_list(&hard, errors);
    let names: Vec<&str> = hard.entries().map(|(name, _)| name).collect();
    validate_scopes(&spec.get("scopes"), &names, errors);
    validate_selector(
        &spec.get("scopeSelector"),
        &spec.get("scopes"),
        &names,
        errors,
    );
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    spec(&object.get("spec"), errors);
    let (scopes, before) = (object.at(&["spec", "scopes"]), old.at(&["spec", "scopes"]));
    let set = |field: &Field<'_>| -> BTreeSet<String> {
        field.items().map(|scope| scope.str().to_string()).collect()
    };
    if set(&scopes) != set(&before) {
        errors.push(scopes.invalid("field is immutable"));
    }
    let at = ["spec", "scopeSelector"];
    if !same(&object.at(&at), &old.at(&at)) {
        errors.push(object.at(&at).invalid("field is immutable"));
    }
}

pub(super) fn status(status: &Field<'_>, errors: &mut Errors) {
    validate_list(&status.get("hard"), errors);
    validate_list(&status.get("used"), errors);
}

fn validate_list(list: &Field<'_>, errors: &mut Errors) {
    for (name, field) in list.entries() {
        validate_name(name, &field, errors);
        validate_quantity(name, &field, errors);
    }
}

fn validate_name(name: &str, field: &Field<'_>, errors: &mut Errors) {
    validate_any_resource_name(name, field, errors);
    if !name.contains('/') && !is_standard(name) {
        let why = "must be a standard resource for quota";
        errors.push(FieldError::invalid(&field.path, name, why));
    }
}

fn applies(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "CrossNamespacePodAffinity"
        | "NotBestEffort"
        | "NotTerminating"
        | "PriorityClass"
        | "Terminating" => OF_PODS.contains(&name),
        _ => true,
    }
}

fn validate_scopes(scopes: &Field<'_>, names: &[&str], errors: &mut Errors) {
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.str()) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        let wrong = |name: &&&str| is_standard(name) && !applies(scope.str(), name);
        for _ in names.iter().filter(wrong) {
            errors.push(scopes.invalid("unsupported scope applied to resource"));
        }
    }
    let all: BTreeSet<&str> = scopes.items().map(|scope| scope.str()).collect();
    refuse_pairs(&all, scopes, errors);
}

fn refuse_pairs(all: &BTreeSet<&str>, scopes: &Field<'_>, errors: &mut Errors) {
    for (one, other) in PAIRS {
        if all.contains(one) && all.contains(other) {
            errors.push(scopes.invalid("conflicting scopes"));
        }
    }
}

fn validate_selector(
    selector: &Field<'_>,
    scopes: &Field<'_>,
    names: &[&str],
    errors: &mut Errors,
) {
    let all = selector.get("matchExpressions");
    let mut seen = BTreeSet::new();
    for requirement in all.items() {
        let (scope, operator) = (requirement.get("scopeName"), requirement.get("operator"));
        let at = |child: &str, field: &Field<'_>, why: &str| {
            let value = field.value.cloned().unwrap_or(Value::from(""));
            FieldError::invalid(&all.path.child(child), value, why)
        };
        if !SCOPES.contains(&scope.str()) {
            errors.push(at("scopeName", &scope, "unsupported scope"));
        }
        let wrong = |name: &&&str| is_standard(name) && !applies(scope.str(), name);
        for _ in names.iter().filter(wrong) {
            let shown = selector.value.cloned().unwrap_or_default();
            let why = "unsupported scope applied to resource";
            errors.push(FieldError::invalid(&all.path, shown, why));
        }
        let only_exists = !matches!(scope.str(), "PriorityClass" | "VolumeAttributesClass");
        if only_exists && SCOPES.contains(&scope.str()) && operator.str() != "Exists" {
            errors.push(at("operator", &operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"));
        }
        validate_values(&requirement, &all, errors);
        seen.insert(scope.str());
    }
    refuse_pairs(&seen, scopes, errors);
}

fn validate_values(requirement: &Field<'_>, all: &Field<'_>, errors: &mut Errors) {
    let (operator, values) = (requirement.get("operator"), requirement.get("values"));
    let path = all.path.child("values");
    match operator.str() {
        "In" | "NotIn" if values.is_empty() => {
            let why =
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(Field::new(path, None).required(why));
        }
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let shown = values.value.cloned().unwrap_or_default();
            let why =
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(&path, shown, why));
        }
        "Exists" | "DoesNotExist" => {}
        other => {
            let path = all.path.child("operator");
            errors.push(FieldError::invalid(
                &path,
                other,
                "not a valid selector operator",
            ));
        }
    }
}
