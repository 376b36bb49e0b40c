//! Affinity to nodes and to other pods.

use crate::check;
use crate::core::pod::tolerance::Tolerance;
use meta::{Errors, Field, FieldError, Path, names, selector};
use std::collections::{BTreeMap, BTreeSet};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(affinity: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let node = affinity.get("nodeAffinity");
    if node.get(REQUIRED).is_present() {
        validate_node_selector(&node.get(REQUIRED), tolerance.node_values, errors);
    }
    for term in node.get(PREFERRED).items() {
        validate_weight(&term, errors);
        validate_node_term(&term.get("preference"), true, errors);
    }
    for key in ["podAffinity", "podAntiAffinity"] {
        let pod = affinity.get(key);
        for term in pod.get(REQUIRED).items() {
            validate_pod_term(&term, tolerance.selector_values, errors);
        }
        for term in pod.get(PREFERRED).items() {
            validate_weight(&term, errors);
            validate_pod_term(
                &term.get("podAffinityTerm"),
                tolerance.selector_values,
                errors,
            );
        }
    }
}

/// All terms of affinity to pods, required and preferred.
pub(in crate::core::pod) fn pod_terms<'a>(affinity: &Field<'a>) -> Vec<Field<'a>> {
    let mut terms = Vec::new();
    for key in ["podAffinity", "podAntiAffinity"] {
        let pod = affinity.get(key);
        terms.extend(pod.get(REQUIRED).items());
        let preferred = pod.get(PREFERRED);
        terms.extend(preferred.items().map(|term| term.get("podAffinityTerm")));
    }
    terms
}

/// The values of labels that a node has to have.
pub(in crate::core::pod) fn required_of_nodes<'a>(affinity: &Field<'a>) -> Vec<Field<'a>> {
    let selector = affinity.get("nodeAffinity").get(REQUIRED);
    let mut values = Vec::new();
    for term in selector.get("nodeSelectorTerms").items() {
        for expression in term.get("matchExpressions").items() {
            values.extend(expression.get("values").items());
        }
    }
    values
}

fn validate_weight(term: &Field<'_>, errors: &mut Errors) {
    let weight = term.get("weight");
    if !(1..=100).contains(&weight.int()) {
        let detail = "must be in the range 1-100";
        errors.push(FieldError::invalid(&weight.path, weight.int(), detail));
    }
}

fn validate_node_selector(selector: &Field<'_>, any_value: bool, errors: &mut Errors) {
    let terms = selector.get("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        validate_node_term(&term, any_value, errors);
    }
}

fn validate_node_term(term: &Field<'_>, any_value: bool, errors: &mut Errors) {
    for requirement in term.get("matchExpressions").items() {
        validate_node_requirement(&requirement, any_value, errors);
    }
    for requirement in term.get("matchFields").items() {
        validate_node_field(&requirement, errors);
    }
}

fn validate_node_requirement(requirement: &Field<'_>, any_value: bool, errors: &mut Errors) {
    let (operator, values) = (requirement.get("operator"), requirement.get("values"));
    match operator.str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"))
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(
            values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ),
        "Gt" | "Lt" if values.len() != 1 => errors.push(
            values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"),
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        text => errors.push(FieldError::invalid(
            &operator.path,
            text,
            "not a valid selector operator",
        )),
    }
    let key = requirement.get("key");
    for detail in names::qualified_name(key.str()) {
        errors.push(FieldError::invalid(&key.path, key.str(), detail));
    }
    if !any_value {
        for value in values.items() {
            errors.invalid_each(&value, names::label_value(value.str()));
        }
    }
}

fn validate_node_field(requirement: &Field<'_>, errors: &mut Errors) {
    let (operator, values) = (requirement.get("operator"), requirement.get("values"));
    match operator.str() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => errors.push(values.required(
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        )),
        text => errors.push(FieldError::invalid(
            &operator.path,
            text,
            "not a valid selector operator",
        )),
    }
    let key = requirement.get("key");
    match key.str() {
        "metadata.name" => values
            .items()
            .for_each(|value| check::dns_subdomain(&value, errors)),
        text => errors.push(FieldError::invalid(
            &key.path,
            text,
            "not a valid field selector key",
        )),
    }
}

fn validate_pod_term(term: &Field<'_>, any_value: bool, errors: &mut Errors) {
    selector::validate_tolerating(&term.get("labelSelector"), any_value, errors);
    selector::validate_tolerating(&term.get("namespaceSelector"), any_value, errors);
    for namespace in term.get("namespaces").items() {
        for detail in names::dns1123_label(namespace.str()) {
            let path = term.path.child("namespace");
            errors.push(FieldError::invalid(&path, namespace.str(), detail));
        }
    }
    validate_label_keys(term, errors);
    let key = term.get("topologyKey");
    if key.is_empty() {
        errors.push(key.required("can not be empty"));
    }
    for detail in names::qualified_name(key.str()) {
        errors.push(FieldError::invalid(&key.path, key.str(), detail));
    }
}

fn validate_label_keys(term: &Field<'_>, errors: &mut Errors) {
    let selector = term.get("labelSelector");
    let (matching, mismatching) = (term.get("matchLabelKeys"), term.get("mismatchLabelKeys"));
    for keys in [&matching, &mismatching] {
        if !keys.is_empty() && !selector.is_present() {
            errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
        } else {
            keys.items()
                .for_each(|key| check::qualified_name(&key, errors));
        }
    }
    validate_keys_once(&term.path, &selector, &matching, errors);
    let mismatching: BTreeSet<&str> = mismatching.items().map(|k| k.str()).collect();
    for key in matching.items().filter(|k| mismatching.contains(k.str())) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

/// A key that is matched by the pod's own value has become an expression of
/// the selector already; a second one of the same key is the client's.
fn validate_keys_once(
    path: &Path,
    selector: &Field<'_>,
    matching: &Field<'_>,
    errors: &mut Errors,
) {
    let at: BTreeMap<&str, usize> = matching
        .items()
        .enumerate()
        .map(|(i, key)| (key.str(), i))
        .collect();
    let labels = selector.get("matchLabels");
    let mut seen: BTreeSet<&str> = labels.entries().map(|(key, _)| key).collect();
    for expression in selector.get("matchExpressions").items() {
        let key = expression.get("key").str();
        if !seen.insert(key)
            && let Some(i) = at.get(key)
        {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(&path.index(*i), key, detail));
        }
    }
}
