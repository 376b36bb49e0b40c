//! The three lists of containers: what all have in common, and what each
//! list allows.

use super::{Context, env, mounts, probe, resources, security};
use crate::check;
use meta::{Errors, Field, FieldError, names};
use std::collections::BTreeSet;

/// What an ephemeral container may have; everything else needs a pod that
/// counts on the container.
const EPHEMERAL_FIELDS: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "securityContext",
    "stdin",
    "stdinOnce",
    "targetContainerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

pub(super) fn validate(spec: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    validate_regular(&spec.get("containers"), context, errors);
    validate_init(spec, context, errors);
    validate_ephemeral(spec, context, errors);
}

fn validate_regular(containers: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    if containers.is_empty() {
        errors.push(containers.required(""));
        return;
    }
    let mut seen = BTreeSet::new();
    for container in containers.items() {
        validate_common(&container, context, errors);
        let name = container.get("name");
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        validate_watched(&container, context, errors);
        validate_restart(&container, errors);
    }
    validate_host_ports(containers.items(), errors);
}

fn validate_init(spec: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let regular = spec.get("containers");
    let mut seen: BTreeSet<&str> = regular.items().map(|c| c.get("name").str()).collect();
    for container in spec.get("initContainers").items() {
        validate_common(&container, context, errors);
        validate_restart(&container, errors);
        let name = container.get("name");
        if !name.is_empty() && !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        // They run one after another, so that each may take the same ports.
        validate_host_ports([container.clone()].into_iter(), errors);
        if container.get("restartPolicy").str() == "Always" {
            validate_watched(&container, context, errors);
            continue;
        }
        for key in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            let field = container.get(key);
            if field.is_present() {
                errors.push(
                    field.forbidden(
                        "may not be set for init containers without restartPolicy=Always",
                    ),
                );
            }
        }
        let resize = container.get("resizePolicy");
        if !resize.is_empty() {
            errors.push(resize.invalid("must not be set for init containers"));
        }
    }
}

fn validate_ephemeral(spec: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let others: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.get(list).items())
        .map(|c| c.get("name").str())
        .collect();
    let mut seen = others.clone();
    for container in spec.get("ephemeralContainers").items() {
        validate_common(&container, context, errors);
        validate_image_is_trimmed(&container, errors);
        let name = container.get("name");
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        let target = container.get("targetContainerName");
        if !target.is_empty() && !others.contains(target.str()) {
            errors.push(target.not_found());
        }
        let detail = "cannot be set for an Ephemeral Container";
        let fields = container.value.and_then(|c| c.as_object());
        for (key, value) in fields.into_iter().flat_map(|f| f.iter()) {
            if !EPHEMERAL_FIELDS.contains(&key.as_str()) && !value.is_empty() {
                errors.push(container.get(key).forbidden(detail));
            }
        }
        for mount in container.get("volumeMounts").items() {
            for key in ["subPath", "subPathExpr"] {
                if !mount.get(key).is_empty() {
                    errors.push(mount.get(key).forbidden(detail));
                }
            }
        }
    }
}

fn validate_common(container: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let name = container.get("name");
    match name.str() {
        "" => errors.push(name.required("")),
        _ => check::dns_label(&name, errors),
    }
    check::required(&container.get("image"), errors);
    check::required_one_of(
        &container.get("terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
        errors,
    );
    validate_ports(&container.get("ports"), errors);
    env::validate(&container.get("env"), errors);
    env::validate_from(&container.get("envFrom"), errors);
    mounts::validate(container, context, errors);
    check::required_one_of(
        &container.get("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        errors,
    );
    resources::validate(&container.get("resources"), errors);
    validate_resize(&container.get("resizePolicy"), context, errors);
    security::validate_container(&container.get("securityContext"), errors);
}

/// Hooks and probes, which need a container that goes on running.
fn validate_watched(container: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    probe::validate_lifecycle(&container.get("lifecycle"), context, errors);
    probe::validate(container, context, errors);
}

/// A name for the image that has blanks around it is a template's business only.
pub(in crate::core::pod) fn validate_image_is_trimmed(container: &Field<'_>, errors: &mut Errors) {
    let image = container.get("image");
    if image.str().trim() != image.str() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn validate_ports(ports: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        if !name.is_empty() {
            let complaints = names::port_name(name.str());
            if complaints.is_empty() && !seen.insert(name.str()) {
                errors.push(name.duplicate());
            }
            errors.invalid_each(&name, complaints);
        }
        let (number, host) = (port.get("containerPort"), port.get("hostPort"));
        match number.int() {
            0 => errors.push(number.required("")),
            _ => check::port(&number, errors),
        }
        if host.int() != 0 {
            check::port(&host, errors);
        }
        check::protocol(&port.get("protocol"), errors);
    }
}

/// Each port of the host once.
fn validate_host_ports<'a>(containers: impl Iterator<Item = Field<'a>>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for port in containers.flat_map(|c| c.get("ports").items()) {
        let host = port.get("hostPort");
        if host.int() == 0 {
            continue;
        }
        let (protocol, ip) = (port.get("protocol").str(), port.get("hostIP").str());
        let text = format!("{protocol}/{ip}/{}", host.int());
        if !seen.insert(text.clone()) {
            let value = text.into();
            errors.push(Field::new(host.path.clone(), Some(&value)).duplicate());
        }
    }
}

/// A container's own restart policy, and its rules by exit code.
fn validate_restart(container: &Field<'_>, errors: &mut Errors) {
    let (policy, rules) = (
        container.get("restartPolicy"),
        container.get("restartPolicyRules"),
    );
    if !rules.is_empty() && !policy.is_present() {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    }
    check::one_of(&policy, &["Always", "Never", "OnFailure"], errors);
    if rules.len() > 20 {
        errors.push(rules.too_many(20));
    }
    for rule in rules.items() {
        check::required_one_of(&rule.get("action"), &["Restart"], errors);
        let codes = rule.get("exitCodes");
        if !codes.is_present() {
            errors.push(codes.required("must be specified"));
            continue;
        }
        check::required_one_of(&codes.get("operator"), &["In", "NotIn"], errors);
        let values = codes.get("values");
        check::required(&values, errors);
        if values.len() > 255 {
            errors.push(values.too_many(255));
        }
        values
            .items()
            .for_each(|code| check::range(&code, 0, 255, errors));
    }
}

fn validate_resize(policies: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    // Upstream's paths name the list, not the item.
    let not_supported = |value: &str, known: &[&str]| match value {
        "" => policies.required(""),
        _ => FieldError::not_supported(&policies.path, value, known),
    };
    for policy in policies.items() {
        let (name, restart) = (
            policy.get("resourceName"),
            policy.get("restartPolicy").str(),
        );
        if !seen.insert(name.str()) {
            errors.push(Field::new(policy.path.clone(), name.value).duplicate());
        }
        if !matches!(name.str(), "cpu" | "memory") {
            errors.push(not_supported(name.str(), &["cpu", "memory"]));
        }
        if !matches!(restart, "NotRequired" | "RestartContainer") {
            errors.push(not_supported(restart, &["NotRequired", "RestartContainer"]));
        }
        if context.restart_policy == "Never" && restart != "NotRequired" {
            errors.push(FieldError::invalid(
                &policies.path,
                restart,
                "must be 'NotRequired' when `restartPolicy` is 'Never'",
            ));
        }
    }
}
