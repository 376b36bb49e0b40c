//! What a PodDisruptionBudget may hold. Follows
//! pkg/apis/policy/validation/validation.go.

use crate::apps::deployment::validate::{int_or_percent, percent};
use crate::check;
use meta::{Errors, Field};

pub(super) fn spec(spec: &Field<'_>, errors: &mut Errors) {
    tolerating(spec, false, errors);
}

/// A selector whose values were none of labels before may keep them. Follows
/// pkg/registry/policy/poddisruptionbudget/strategy.go.
pub(super) fn update(spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let mut before = Errors::new();
    meta::selector::validate(&old.get("selector"), &mut before);
    tolerating(spec, !before.is_empty(), errors);
}

fn tolerating(spec: &Field<'_>, any_value: bool, errors: &mut Errors) {
    let (min, max) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if min.is_present() && max.is_present() {
        errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    for bound in [&min, &max].into_iter().filter(|bound| bound.is_present()) {
        int_or_percent(bound, errors);
        if percent(bound).is_some_and(|percent| percent > 100) {
            errors.push(bound.invalid("must not be greater than 100%"));
        }
    }
    meta::selector::validate_tolerating(&spec.get("selector"), any_value, errors);
    let policy = spec.get("unhealthyPodEvictionPolicy");
    check::one_of(&policy, &["AlwaysAllow", "IfHealthyBudget"], errors);
}

pub(super) fn status(status: &Field<'_>, errors: &mut Errors) {
    for count in [
        "disruptionsAllowed",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
    ] {
        check::nonnegative(&status.get(count), errors);
    }
}
