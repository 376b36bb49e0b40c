//! What a Deployment may hold. Follows pkg/apis/apps/validation/validation.go.

use crate::check;
use crate::core::pod::template;
use crate::core::pod::tolerance::Tolerance;
use crate::kind::Door;
use crate::metadata::immutable;
use meta::{Errors, Field, LabelSelector, Value, names};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    spec(object, Tolerance::default(), errors);
}

fn spec(object: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let spec = object.get("spec");
    check::nonnegative(&spec.get("replicas"), errors);
    let selector = spec.get("selector");
    template::validate_selector(&selector, tolerance, errors);
    let selector = LabelSelector::from_object(selector.value);
    template::validate_lasting(
        &spec.get("template"),
        &selector,
        "ReplicaSet",
        tolerance,
        errors,
    );
    validate_strategy(&spec.get("strategy"), errors);
    let (ready, progress) = (
        spec.get("minReadySeconds"),
        spec.get("progressDeadlineSeconds"),
    );
    check::nonnegative(&ready, errors);
    check::nonnegative(&spec.get("revisionHistoryLimit"), errors);
    if progress.is_present() {
        check::nonnegative(&progress, errors);
        if progress.int() <= ready.int() {
            errors.push(progress.invalid("must be greater than minReadySeconds"));
        }
    }
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, door: Door, errors: &mut Errors) {
    if door == Door::Status {
        validate_status(&object.get("status"), &old.get("status"), errors);
        return;
    }
    let tolerance = Tolerance::of(&old.at(&["spec", "template"]));
    spec(object, tolerance, errors);
    let selector = ["spec", "selector"];
    immutable(&object.at(&selector), &old.at(&selector), errors);
}

fn validate_strategy(strategy: &Field<'_>, errors: &mut Errors) {
    let rolling = strategy.get("rollingUpdate");
    match strategy.get("type").str() {
        "Recreate" if rolling.is_present() => errors
            .push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'")),
        "Recreate" => {}
        "RollingUpdate" => validate_rolling(&rolling, errors),
        _ => errors.push(strategy.not_supported(&["Recreate", "RollingUpdate"])),
    }
}

fn validate_rolling(rolling: &Field<'_>, errors: &mut Errors) {
    if !rolling.is_present() {
        errors.push(rolling.required("this should be defaulted and never be nil"));
        return;
    }
    let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    int_or_percent(&unavailable, errors);
    int_or_percent(&surge, errors);
    if amount(&unavailable) == Some(0) && amount(&surge) == Some(0) {
        errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
    }
    if percent(&unavailable).is_some_and(|p| p > 100) {
        errors.push(unavailable.invalid("must not be greater than 100%"));
    }
}

/// A number of pods that is not below zero, or a share of them.
pub(crate) fn int_or_percent(field: &Field<'_>, errors: &mut Errors) {
    match field.value {
        Some(Value::String(_)) if percent(field).is_none() => {
            errors.push(field.invalid(names::regex_error(
                "a valid percent string must be a numeric string followed by an ending '%'",
                "[0-9]+%",
                &["1%", "93%"],
            )));
        }
        _ => check::nonnegative(field, errors),
    }
}

/// The number before the sign, when there is one.
pub(crate) fn percent(field: &Field<'_>) -> Option<u64> {
    let digits = field.str().strip_suffix('%')?;
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // More digits than fit are more than enough.
    numeric.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn amount(field: &Field<'_>) -> Option<i64> {
    match percent(field) {
        Some(percent) => i64::try_from(percent).ok(),
        None => Some(field.int()),
    }
}

fn validate_status(status: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    template::validate_counts(
        status,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
        &["updatedReplicas", "readyReplicas", "availableReplicas"],
        errors,
    );
    let (count, before) = (status.get("collisionCount"), old.get("collisionCount"));
    if before.is_present() && count.int() < before.int() {
        errors.push(count.invalid("cannot be decremented"));
    }
}
