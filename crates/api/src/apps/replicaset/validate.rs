//! What a ReplicaSet may hold. Follows pkg/apis/apps/validation/validation.go.

use crate::check;
use crate::core::pod::template;
use crate::core::pod::tolerance::Tolerance;
use crate::core::replicationcontroller::validate_status;
use crate::kind::Door;
use crate::metadata::immutable;
use meta::{Errors, Field, LabelSelector};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    spec(object, Tolerance::default(), errors);
}

fn spec(object: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let spec = object.get("spec");
    check::nonnegative(&spec.get("replicas"), errors);
    check::nonnegative(&spec.get("minReadySeconds"), errors);
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
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, door: Door, errors: &mut Errors) {
    if door == Door::Status {
        validate_status(&object.get("status"), errors);
        return;
    }
    let tolerance = Tolerance::of(&old.at(&["spec", "template"]));
    spec(object, tolerance, errors);
    let selector = ["spec", "selector"];
    immutable(&object.at(&selector), &old.at(&selector), errors);
}
