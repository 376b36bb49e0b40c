//! What a PriorityClass may hold. Follows
//! pkg/apis/scheduling/validation/validation.go.

use crate::check;
use crate::metadata::immutable;
use meta::{Errors, Field};

/// The highest that users may define.
const USER_MAX: i64 = 1_000_000_000;
/// The system's own.
const SYSTEM: &[(&str, i64)] = &[
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

pub(super) fn create(class: &Field<'_>, errors: &mut Errors) {
    let (name, value) = (class.at(&["metadata", "name"]), class.get("value"));
    if name.str().starts_with("system-") {
        if let Some(why) = unknown_system_class(class) {
            errors.push(name.forbidden(format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {why}"
            )));
        }
    } else if value.int() > USER_MAX {
        errors.push(value.forbidden(format!(
            "maximum allowed value of a user defined priority is {USER_MAX}"
        )));
    }
    check::one_of(
        &class.get("preemptionPolicy"),
        &["PreemptLowerPriority", "Never"],
        errors,
    );
}

pub(super) fn update(class: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let value = class.get("value");
    if value.int() != old.get("value").int() {
        errors.push(value.forbidden("may not be changed in an update."));
    }
    let policy = "preemptionPolicy";
    immutable(&class.get(policy), &old.get(policy), errors);
}

fn unknown_system_class(class: &Field<'_>) -> Option<String> {
    let name = class.at(&["metadata", "name"]).str();
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if class.get("value").int() != *value {
        return Some(format!("value of {name} PriorityClass must be {value}"));
    }
    let is_default = class.get("globalDefault").is_true();
    is_default.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}
