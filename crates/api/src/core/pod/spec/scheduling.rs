//! Tolerations, spreading over topologies, and scheduling gates.

use crate::check;
use crate::core::pod::tolerance::Tolerance;
use meta::{Errors, Field, FieldError, names, selector};
use std::collections::BTreeSet;

/// The effects of a taint.
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn validate(spec: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    validate_gates(&spec.get("schedulingGates"), errors);
    validate_spread(&spec.get("topologySpreadConstraints"), tolerance, errors);
    validate_tolerations(&spec.get("tolerations"), errors);
}

fn validate_gates(gates: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for gate in gates.items() {
        let name = gate.get("name").str();
        for detail in names::qualified_name(name) {
            errors.push(FieldError::invalid(&gate.path, name, detail));
        }
        if !seen.insert(name) {
            errors.push(
                Field::new(gate.path.clone(), gate.value.and_then(|g| g.get("name"))).duplicate(),
            );
        }
    }
}

/// `tolerations`
pub(crate) fn validate_tolerations(tolerations: &Field<'_>, errors: &mut Errors) {
    for toleration in tolerations.items() {
        let (key, effect) = (toleration.get("key"), toleration.get("effect"));
        let operator = toleration.get("operator");
        if !key.is_empty() {
            check::qualified_name(&key, errors);
        } else if operator.str() != "Exists" {
            errors.push(operator.invalid(
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        if toleration.get("tolerationSeconds").is_present() && effect.str() != "NoExecute" {
            errors
                .push(effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        validate_toleration_value(&toleration, &operator, errors);
        check::one_of(&effect, EFFECTS, errors);
    }
}

fn validate_toleration_value(toleration: &Field<'_>, operator: &Field<'_>, errors: &mut Errors) {
    let value = toleration.get("value").str();
    let detail = match operator.str() {
        "" | "Equal" => names::label_value(value).join(";"),
        "Exists" if value.is_empty() => String::new(),
        "Exists" => "value must be empty when `operator` is 'Exists'".into(),
        _ => {
            errors.push(operator.not_supported(&["Equal", "Exists"]));
            return;
        }
    };
    if !detail.is_empty() {
        errors.push(FieldError::invalid(&operator.path, value, detail));
    }
}

/// `taints` of a node, which upstream places below `metadata`.
pub(crate) fn validate_taints(taints: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value) = (taint.get("key"), taint.get("value"));
        for detail in names::qualified_name(key.str()) {
            errors.push(FieldError::invalid(&key.path, key.str(), detail));
        }
        let complaints = names::label_value(value.str());
        if !complaints.is_empty() {
            errors.push(value.invalid(complaints.join(";")));
        }
        check::required_one_of(&taint.get("effect"), EFFECTS, errors);
        if !seen.insert((key.str(), taint.get("effect").str())) {
            let mut error = taint.duplicate();
            error.detail = "taints must be unique by key and effect pair".into();
            errors.push(error);
        }
    }
}

fn validate_spread(constraints: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let pair = |c: &Field<'_>| {
        let (key, action) = (c.get("topologyKey").str(), c.get("whenUnsatisfiable").str());
        format!("{{{key}, {action}}}")
    };
    let pairs: Vec<String> = constraints.items().map(|c| pair(&c)).collect();
    for (i, constraint) in constraints.items().enumerate() {
        validate_constraint(&constraint, errors);
        if !tolerance.spread_selectors {
            selector::validate(&constraint.get("labelSelector"), errors);
        }
        if pairs[i + 1..].contains(&pairs[i]) {
            let path = constraint.path.child("{topologyKey, whenUnsatisfiable}");
            let value = pairs[i].as_str().into();
            errors.push(Field::new(path, Some(&value)).duplicate());
        }
    }
}

fn validate_constraint(constraint: &Field<'_>, errors: &mut Errors) {
    let (skew, key) = (constraint.get("maxSkew"), constraint.get("topologyKey"));
    if skew.int() <= 0 {
        let detail = "must be greater than zero";
        errors.push(FieldError::invalid(&skew.path, skew.int(), detail));
    }
    if key.is_empty() {
        errors.push(key.required("can not be empty"));
    }
    let action = constraint.get("whenUnsatisfiable");
    if !matches!(action.str(), "DoNotSchedule" | "ScheduleAnyway") {
        errors.push(action.not_supported(&["DoNotSchedule", "ScheduleAnyway"]));
    }
    let domains = constraint.get("minDomains");
    if let Some(n) = domains.i64() {
        if n <= 0 {
            errors.push(domains.invalid("must be greater than zero"));
        }
        if action.str() != "DoNotSchedule" {
            errors.push(domains.invalid(format!(
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                action.str()
            )));
        }
    }
    for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        check::one_of(&constraint.get(policy), &["Honor", "Ignore"], errors);
    }
    validate_spread_keys(constraint, errors);
}

/// The keys that are matched by the pod's own values. They have become
/// expressions of the selector already, each just once.
fn validate_spread_keys(constraint: &Field<'_>, errors: &mut Errors) {
    let (keys, selector) = (
        constraint.get("matchLabelKeys"),
        constraint.get("labelSelector"),
    );
    if keys.is_empty() {
        return;
    }
    if !selector.is_present() {
        errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
    }
    let expressions = selector.get("matchExpressions");
    for key in keys.items() {
        check::qualified_name(&key, errors);
        let named = |e: &Field<'_>| e.get("key").str() == key.str();
        let label = selector.get("matchLabels").get(key.str()).is_present();
        if expressions.items().filter(named).count() + usize::from(label) > 1 {
            errors.push(key.invalid("exists in both matchLabelKeys and labelSelector"));
        }
    }
}
