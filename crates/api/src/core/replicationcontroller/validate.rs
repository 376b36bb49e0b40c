//! What a ReplicationController may hold. Follows
//! pkg/apis/core/validation/validation.go.

use crate::check;
use crate::core::pod::template;
use crate::core::pod::tolerance::Tolerance;
use crate::kind::Door;
use meta::{Errors, Field, LabelSelector};

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    spec(object, Tolerance::default(), errors);
}

fn spec(object: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let spec = object.get("spec");
    check::nonnegative(&spec.get("minReadySeconds"), errors);
    check::required(&spec.get("selector"), errors);
    check::nonnegative(&spec.get("replicas"), errors);
    let pods = spec.get("template");
    if !pods.is_present() {
        errors.push(pods.required(""));
        return;
    }
    let selector = spec.get("selector").value;
    let selector = selector.map(LabelSelector::from_map).unwrap_or_default();
    template::validate_lasting(&pods, &selector, "ReplicationController", tolerance, errors);
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, door: Door, errors: &mut Errors) {
    match door {
        Door::Status => status(&object.get("status"), errors),
        _ => {
            let tolerance = Tolerance::of(&old.at(&["spec", "template"]));
            spec(object, tolerance, errors);
        }
    }
}

/// The status of a ReplicationController or a ReplicaSet.
pub(crate) fn status(status: &Field<'_>, errors: &mut Errors) {
    template::validate_counts(
        status,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "terminatingReplicas",
            "observedGeneration",
        ],
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        errors,
    );
}
