//! What a pod's spec may hold, in a pod or in a template of one: a file for
//! each part. Follows pkg/apis/core/validation/validation.go (ValidatePodSpec).

pub(super) mod affinity;
mod container;
mod disabled;
mod dns;
mod env;
mod mounts;
mod probe;
mod resources;
mod scheduling;
mod security;
mod volumes;

pub(super) use container::validate_image_is_trimmed;
pub(crate) use disabled::drop_disabled;
pub(crate) use resources::{
    is_standard, validate_any_resource_name, validate_container_resource_name, validate_overhead,
    validate_quantity,
};
pub(crate) use scheduling::{validate_taints, validate_tolerations};

use super::tolerance::Tolerance;
use crate::check;
use crate::metadata::validate_labels;
use meta::{Errors, Field, FieldError, Value};
use std::collections::BTreeMap;

/// What the parts of a spec need to know of one another.
pub(super) struct Context<'a> {
    /// The volumes that are well-formed, by name.
    volumes: BTreeMap<&'a str, &'a Value>,
    /// `terminationGracePeriodSeconds`
    grace: Option<i64>,
    /// `restartPolicy`
    restart_policy: &'a str,
    /// `os.name`
    os: &'a str,
}

/// What is wrong with a spec. `is_pod` says whether it is a pod's own rather
/// than a template's.
pub(crate) fn validate(spec: &Field<'_>, is_pod: bool, tolerance: Tolerance, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds");
    if !grace.is_present() {
        errors.push(grace.required(""));
    }
    let context = Context {
        volumes: volumes::validate(&spec.get("volumes"), is_pod, errors),
        grace: grace.i64(),
        restart_policy: spec.get("restartPolicy").str(),
        os: spec.at(&["os", "name"]).str(),
    };
    container::validate(spec, &context, errors);
    validate_host_ports(spec, is_pod, errors);
    check::required_one_of(
        &spec.get("restartPolicy"),
        &["Always", "OnFailure", "Never"],
        errors,
    );
    dns::validate(spec, errors);
    validate_labels(&spec.get("nodeSelector"), errors);
    security::validate_pod(spec, errors);
    affinity::validate(&spec.get("affinity"), tolerance, errors);
    scheduling::validate(spec, tolerance, errors);
    validate_names(spec, errors);
    validate_rest(spec, errors);
    refuse_unsupported(spec, errors);
}

/// All containers of a spec with their places: init, regular, ephemeral.
pub(crate) fn containers<'a>(spec: &Field<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].map(|l| spec.get(l));
    lists.into_iter().flat_map(|list| list.items())
}

/// On the host's network a container's port is the host's.
fn validate_host_ports(spec: &Field<'_>, is_pod: bool, errors: &mut Errors) {
    if !spec.get("hostNetwork").is_true() {
        return;
    }
    for port in spec
        .get("containers")
        .items()
        .flat_map(|c| c.get("ports").items())
    {
        let host = port.get("hostPort");
        if (is_pod || host.int() != 0) && host.int() != port.get("containerPort").int() {
            errors.push(FieldError::invalid(
                &host.path,
                host.int(),
                "must match `containerPort` when `hostNetwork` is true",
            ));
        }
    }
}

fn validate_names(spec: &Field<'_>, errors: &mut Errors) {
    for key in [
        "serviceAccountName",
        "nodeName",
        "priorityClassName",
        "runtimeClassName",
    ] {
        let name = spec.get(key);
        if !name.is_empty() {
            check::dns_subdomain(&name, errors);
        }
    }
    for key in ["hostname", "subdomain"] {
        let name = spec.get(key);
        if !name.is_empty() {
            check::dns_label(&name, errors);
        }
    }
}

fn validate_rest(spec: &Field<'_>, errors: &mut Errors) {
    check::range(
        &spec.get("activeDeadlineSeconds"),
        1,
        check::INT32_MAX,
        errors,
    );
    for gate in spec.get("readinessGates").items() {
        check::qualified_name(&gate.get("conditionType"), errors);
    }
    check::one_of(
        &spec.get("preemptionPolicy"),
        &["PreemptLowerPriority", "Never"],
        errors,
    );
    resources::validate_overhead(&spec.get("overhead"), errors);
    let os = spec.get("os");
    if os.is_present() {
        match os.get("name").str() {
            "" => errors.push(os.get("name").required("cannot be empty")),
            "linux" => {}
            "windows" => errors.push(check::unsupported(&os.get("name"), "windows")),
            name => errors.push(FieldError::not_supported(
                &os.path,
                name,
                &["linux", "windows"],
            )),
        }
    }
}

fn refuse_unsupported(spec: &Field<'_>, errors: &mut Errors) {
    for (key, what) in [
        ("evictionResponders", "evictionResponders"),
        ("hostnameOverride", "hostnameOverride"),
        ("resourceClaims", "resourceClaims"),
        ("resources", "resources of a whole pod"),
        ("schedulingGroup", "schedulingGroup"),
    ] {
        if !spec.get(key).is_empty() {
            errors.push(check::unsupported(&spec.get(key), what));
        }
    }
    let host_users = spec.get("hostUsers");
    if host_users.is_present() && !host_users.is_true() {
        errors.push(check::unsupported(&host_users, "hostUsers: false"));
    }
}
