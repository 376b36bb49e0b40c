//! What containers ask for and may have at most.

use crate::check;
use meta::{Errors, Field, FieldError, Quantity, names};

/// Names that are known without a domain, besides huge pages.
const STANDARD: &[&str] = &[
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];

/// Names that count whole things.
const WHOLE: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// `resources` of a container.
pub(super) fn validate(resources: &Field<'_>, errors: &mut Errors) {
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    let mut names = Vec::new();
    for (name, limit) in limits.entries() {
        validate_entry(name, &limit, errors);
        names.push(name);
    }
    for (name, request) in requests.entries() {
        validate_entry(name, &request, errors);
        validate_request(name, &request, &limits, &requests, errors);
        names.push(name);
    }
    let huge = names.iter().any(|n| is_huge_pages(n));
    if huge && !names.iter().any(|n| matches!(*n, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
    if !resources.get("claims").is_empty() {
        errors.push(check::unsupported(&resources.get("claims"), "claims"));
    }
}

/// `overhead`, which is looked at as limits are.
pub(crate) fn validate_overhead(overhead: &Field<'_>, errors: &mut Errors) {
    let limits = overhead.path.child("limits");
    for (name, quantity) in overhead.entries() {
        validate_entry(name, &Field::new(limits.key(name), quantity.value), errors);
    }
}

/// A quantity of a named resource.
pub(crate) fn validate_quantity(name: &str, field: &Field<'_>, errors: &mut Errors) {
    let Some(quantity) = check::quantity(field) else {
        return;
    };
    if quantity.sign() < 0 {
        errors.push(field.invalid("must be greater than or equal to 0"));
    }
    if (WHOLE.contains(&name) || is_extended(name)) && !quantity.is_whole() {
        errors.push(field.invalid("must be an integer"));
    }
}

fn validate_entry(name: &str, quantity: &Field<'_>, errors: &mut Errors) {
    validate_container_resource_name(name, quantity, errors);
    validate_quantity(name, quantity, errors);
    if let Some(size) = name.strip_prefix("hugepages-") {
        validate_huge_pages(name, size, quantity, errors);
    }
}

fn validate_huge_pages(name: &str, size: &str, field: &Field<'_>, errors: &mut Errors) {
    let (Some(quantity), Ok(page)) = (check::quantity(field), size.parse::<Quantity>()) else {
        return;
    };
    let (asked, page) = (quantity.value(), page.value());
    if page <= 0 || asked < 0 || asked % page != 0 {
        let detail = format!("{quantity} is not positive integer multiple of {name}");
        errors.push(field.invalid(detail));
    }
}

fn validate_request(
    name: &str,
    request: &Field<'_>,
    limits: &Field<'_>,
    requests: &Field<'_>,
    errors: &mut Errors,
) {
    let asked = check::quantity(request);
    let limit = limits
        .value
        .and_then(|l| l.get(name)?.as_str()?.parse::<Quantity>().ok());
    let overcommits = is_native(name) && !is_huge_pages(name);
    let (Some(asked), Some(limit)) = (asked, limit) else {
        if !overcommits && limit.is_none() {
            errors.push(limits.required("Limit must be set for non overcommitable resources"));
        }
        return;
    };
    let relation = match overcommits {
        false if asked != limit => "equal to",
        _ if asked > limit => "less than or equal to",
        _ => return,
    };
    let detail = format!("must be {relation} {name} limit of {limit}");
    errors.push(FieldError::invalid(
        &requests.path,
        asked.to_string(),
        detail,
    ));
}

/// The name of something that containers can ask for.
pub(crate) fn validate_container_resource_name(name: &str, field: &Field<'_>, errors: &mut Errors) {
    validate_any_resource_name(name, field, errors);
    let mut invalid = |detail| errors.push(FieldError::invalid(&field.path, name, detail));
    if !name.contains('/') {
        let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage");
        if !standard && !is_huge_pages(name) {
            invalid("must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        invalid("doesn't follow extended resource name standard");
    }
}

/// The name of something that can be measured.
pub(crate) fn validate_any_resource_name(name: &str, field: &Field<'_>, errors: &mut Errors) {
    let complaints = names::qualified_name(name);
    let well_formed = complaints.is_empty();
    for detail in complaints {
        errors.push(FieldError::invalid(&field.path, name, detail));
    }
    if well_formed && !name.contains('/') && !is_standard(name) {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(&field.path, name, detail));
    }
}

/// Whether a name without a domain is one that is known.
pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || is_huge_pages(name) || name.starts_with("requests.hugepages-")
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}
