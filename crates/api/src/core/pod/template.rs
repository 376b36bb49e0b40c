//! Templates of pods, as workloads hold them.

use super::tolerance::Tolerance;
use super::{defaults, spec, validate, warnings};
use crate::check;
use crate::fill::part;
use meta::object::Object as _;
use meta::{Errors, Field, FieldError, LabelSelector, Value, names};

/// Fills in a template.
pub(crate) fn default(template: &mut Value) {
    defaults::template_spec(template.make_object().entry("spec"));
}

/// Drops what is gated off.
pub(crate) fn prepare(template: Option<&mut Value>) {
    if let Some(spec) = template.and_then(|t| part(t, "spec")) {
        spec::drop_disabled(spec);
    }
}

/// What is wrong with the template of a workload that keeps its pods running:
/// they bear the labels that it selects, and are restarted always.
pub(crate) fn validate_lasting(
    template: &Field<'_>,
    selector: &LabelSelector,
    workload: &str,
    tolerance: Tolerance,
    errors: &mut Errors,
) {
    let labels = template.at(&["metadata", "labels"]);
    if !selector.is_everything() && !selector.matches_value(labels.value) {
        let shown = labels.value.cloned().unwrap_or_default();
        errors.push(FieldError::invalid(
            &labels.path,
            shown,
            "`selector` does not match template `labels`",
        ));
    }
    validate::template(template, tolerance, errors);
    let policy = template.at(&["spec", "restartPolicy"]);
    if policy.str() != "Always" {
        errors.push(policy.not_supported(&["Always"]));
    }
    let deadline = template.at(&["spec", "activeDeadlineSeconds"]);
    if deadline.is_present() {
        let detail = format!("activeDeadlineSeconds in {workload} is not Supported");
        errors.push(deadline.forbidden(detail));
    }
}

/// A selector that must be there, valid and not empty.
pub(crate) fn validate_selector(selector: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    if !selector.is_present() {
        errors.push(selector.required(""));
        return;
    }
    meta::selector::validate_tolerating(selector, tolerance.selector_values, errors);
    if selector.get("matchLabels").len() + selector.get("matchExpressions").len() == 0 {
        errors.push(selector.invalid("empty selector is invalid for deployment"));
    }
}

/// The numbers in the status of a workload: none below zero, and none of those
/// that count a part of the replicas above them.
pub(crate) fn validate_counts(
    status: &Field<'_>,
    all: &[&str],
    parts: &[&str],
    errors: &mut Errors,
) {
    for key in all {
        check::nonnegative(&status.get(key), errors);
    }
    let replicas = status.get("replicas").int();
    for key in parts {
        let count = status.get(key);
        if count.int() > replicas {
            errors.push(count.invalid("cannot be greater than status.replicas"));
        }
    }
    let available = status.get("availableReplicas");
    if available.int() > status.get("readyReplicas").int() {
        errors.push(available.invalid("cannot be greater than readyReplicas"));
    }
}

/// Warnings about a workload whose template is here, on create and when its
/// template changed.
pub(crate) fn warnings(object: &Value, old: Option<&Value>, keys: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let root = Field::root(object);
    match old {
        None => {
            let complaints = names::dns1123_label(object.name());
            if !complaints.is_empty() && keys.len() > 1 {
                found.push(format!(
                    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
                    complaints.join(" ")
                ));
            }
        }
        Some(old) if old.at(keys) == object.at(keys) => return found,
        Some(_) => {}
    }
    warnings::of_template(&root.at(keys), &mut found);
    found
}
