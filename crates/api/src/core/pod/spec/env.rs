//! Environment variables, and references to fields and resources, which
//! downward API volumes share.

use crate::check;
use meta::{Errors, Field, FieldError, names};

/// The fields that variables may take.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The fields that files may take.
pub(super) const VOLUME_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// The fields that have names in the downward API at all.
const KNOWN_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const BYTE_DIVISORS: &[&str] = &[
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// `env`
pub(super) fn validate(env: &Field<'_>, errors: &mut Errors) {
    for variable in env.items() {
        let name = variable.get("name");
        match name.str() {
            "" => errors.push(name.required("")),
            text => errors.invalid_each(&name, names::env_var_name(text)),
        }
        validate_value_from(&variable, errors);
    }
}

/// `envFrom`
pub(super) fn validate_from(list: &Field<'_>, errors: &mut Errors) {
    for source in list.items() {
        let prefix = source.get("prefix");
        if !prefix.is_empty() {
            errors.invalid_each(&prefix, names::env_var_name(prefix.str()));
        }
        let mut sources = 0;
        for key in ["configMapRef", "secretRef"] {
            let reference = source.get(key);
            if reference.is_present() {
                sources += 1;
                validate_object_name(&reference.get("name"), errors);
            }
        }
        match sources {
            0 => errors.push(FieldError::invalid(
                &list.path,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            )),
            1 => {}
            _ => errors.push(FieldError::invalid(
                &list.path,
                "",
                "may not have more than one field specified at a time",
            )),
        }
    }
}

fn validate_object_name(name: &Field<'_>, errors: &mut Errors) {
    match name.str() {
        "" => errors.push(name.required("")),
        _ => check::dns_subdomain(name, errors),
    }
}

fn validate_value_from(variable: &Field<'_>, errors: &mut Errors) {
    let from = variable.get("valueFrom");
    if !from.is_present() {
        return;
    }
    let mut sources = 0;
    let mut source = |key: &str| {
        let field = from.get(key);
        sources += usize::from(field.is_present());
        field.is_present().then_some(field)
    };
    if let Some(field) = source("fieldRef") {
        validate_field_ref(&field, ENV_FIELDS, errors);
    }
    if let Some(field) = source("resourceFieldRef") {
        validate_resource_ref(&field, false, errors);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(field) = source(key) {
            validate_key_ref(&field, errors);
        }
    }
    if let Some(field) = source("fileKeyRef") {
        errors.push(check::unsupported(&field, "fileKeyRef"));
    }
    let detail = match (sources, variable.get("value").is_empty()) {
        (0, _) => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        }
        (_, false) => "may not be specified when `value` is not empty",
        (1, true) => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(&from.path, "", detail));
}

fn validate_key_ref(reference: &Field<'_>, errors: &mut Errors) {
    let name = reference.get("name");
    for detail in names::dns1123_subdomain(name.str()) {
        errors.push(FieldError::invalid(&name.path, name.str(), detail));
    }
    let key = reference.get("key");
    match key.str() {
        "" => errors.push(key.required("")),
        text => errors.invalid_each(&key, names::config_map_key(text)),
    }
}

/// A reference to a field of the pod, which must be among these.
pub(super) fn validate_field_ref(reference: &Field<'_>, allowed: &[&str], errors: &mut Errors) {
    let (version, path) = (reference.get("apiVersion"), reference.get("fieldPath"));
    if version.is_empty() || path.is_empty() {
        let missing = if version.is_empty() { version } else { path };
        errors.push(missing.required(""));
        return;
    }
    if let Some((map, key)) = split_subscript(path.str()) {
        validate_subscript(reference, &path, map, key, errors);
        return;
    }
    // `spec.host` is what the node's name was called once.
    let name = match path.str() {
        "spec.host" => "spec.nodeName",
        name => name,
    };
    if version.str() != "v1" {
        let why = format!("unsupported pod version: {}", version.str());
        errors.push(path.invalid(format!("error converting fieldPath: {why}")));
    } else if !KNOWN_FIELDS.contains(&name) {
        let why = format!("field label not supported: {name}");
        errors.push(path.invalid(format!("error converting fieldPath: {why}")));
    } else if !allowed.contains(&name) {
        errors.push(FieldError::not_supported(&path.path, name, allowed));
    }
}

fn validate_subscript(
    reference: &Field<'_>,
    path: &Field<'_>,
    map: &str,
    key: &str,
    errors: &mut Errors,
) {
    let complaints = match map {
        "metadata.annotations" => names::qualified_name(&key.to_lowercase()),
        "metadata.labels" => names::qualified_name(key),
        _ => {
            let why = format!("field label does not support subscript: {}", path.str());
            errors.push(path.invalid(format!("error converting fieldPath: {why}")));
            return;
        }
    };
    for detail in complaints {
        errors.push(FieldError::invalid(&reference.path, key, detail));
    }
}

/// `metadata.labels['key']` as map and key.
fn split_subscript(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    (!map.is_empty()).then_some((map, key))
}

/// A reference to a resource of a container; files must say of which.
pub(super) fn validate_resource_ref(reference: &Field<'_>, file: bool, errors: &mut Errors) {
    let (container, resource) = (reference.get("containerName"), reference.get("resource"));
    if file && container.is_empty() {
        errors.push(container.required(""));
    } else if resource.is_empty() {
        errors.push(resource.required(""));
    } else if !RESOURCES.contains(&resource.str()) && !is_huge_pages(resource.str()) {
        errors.push(resource.not_supported(RESOURCES));
    }
    validate_divisor(reference, resource.str(), errors);
}

fn is_huge_pages(resource: &str) -> bool {
    resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-")
}

fn validate_divisor(reference: &Field<'_>, resource: &str, errors: &mut Errors) {
    let divisor = reference.get("divisor");
    let Some(quantity) = check::quantity(&divisor).filter(|q| !q.is_zero()) else {
        return;
    };
    let bytes = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    let (known, values, what) = match resource {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"][..], "1m and 1", "cpu"),
        "limits.memory" | "requests.memory" => (BYTE_DIVISORS, bytes, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (BYTE_DIVISORS, bytes, "local ephemeral storage")
        }
        resource if is_huge_pages(resource) => (BYTE_DIVISORS, bytes, "hugepages"),
        _ => return,
    };
    if !known.contains(&quantity.to_string().as_str()) {
        errors.push(FieldError::invalid(
            &divisor.path,
            resource,
            format!("only divisor's values {values} are supported with the {what} resource"),
        ));
    }
}
