//! Where volumes appear in a container.

use super::Context;
use crate::check;
use meta::{Errors, Field, FieldError};
use std::collections::BTreeSet;

pub(super) fn validate(container: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let mounts = container.get("volumeMounts");
    let mut paths = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        check::required(&name, errors);
        if !context.volumes.contains_key(name.str()) {
            errors.push(name.not_found());
        }
        check::required(&path, errors);
        if !paths.insert(path.str()) {
            errors.push(path.invalid("must be unique"));
        }
        // Upstream's paths name the list from here on, not the item.
        let place = Field::new(mounts.path.clone(), mount.value);
        validate_sub_path(&mount, &place, errors);
        validate_propagation(container, &place, errors);
        validate_recursive_read_only(&place, errors);
    }
    let devices = container.get("volumeDevices");
    if !devices.is_empty() {
        errors.push(check::unsupported(&devices, "volumeDevices"));
    }
}

fn validate_sub_path(mount: &Field<'_>, place: &Field<'_>, errors: &mut Errors) {
    let (path, expression) = (place.get("subPath"), place.get("subPathExpr"));
    if !path.is_empty() {
        check::local_path(&path, errors);
    }
    if !expression.is_empty() {
        if !path.is_empty() {
            errors.push(
                mount
                    .get("subPathExpr")
                    .invalid("subPathExpr and subPath are mutually exclusive"),
            );
        }
        check::local_path(&expression, errors);
    }
}

fn validate_propagation(container: &Field<'_>, place: &Field<'_>, errors: &mut Errors) {
    let propagation = place.get("mountPropagation");
    check::one_of(
        &propagation,
        &["Bidirectional", "HostToContainer", "None"],
        errors,
    );
    let privileged = container.at(&["securityContext", "privileged"]).is_true();
    if propagation.str() == "Bidirectional" && !privileged {
        errors.push(propagation.forbidden(
            "Bidirectional mount propagation is available only to privileged containers",
        ));
    }
}

fn validate_recursive_read_only(place: &Field<'_>, errors: &mut Errors) {
    let field = place.get("recursiveReadOnly");
    match field.str() {
        "" | "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !place.get("readOnly").is_true() {
                errors.push(field.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(place.get("mountPropagation").str(), "" | "None") {
                errors.push(field.forbidden(
                    "may only be specified when mountPropagation is None or not specified",
                ));
            }
        }
        mode => errors.push(FieldError::not_supported(
            &field.path,
            mode,
            &["Disabled", "Enabled", "IfPossible"],
        )),
    }
}
