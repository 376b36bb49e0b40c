//! The addresses of a Service and their families. Follows
//! pkg/apis/core/validation/validation.go (ValidateServiceClusterIPsRelatedFields
//! and the checks of upgrades between one family and two).

use super::validate::is_headless;
use crate::check;
use meta::{Errors, Field, FieldError, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) fn validate(spec: &Field<'_>, errors: &mut Errors) {
    if spec.get("type").str() == "ExternalName" {
        return;
    }
    let (ip, ips) = (spec.get("clusterIP"), spec.get("clusterIPs"));
    let first = ips.items().next().map(|ip| ip.str()).unwrap_or_default();
    match (ip.str(), ips.len()) {
        ("", 0) => {}
        ("", _) => errors.push(ips.invalid("must be empty when `clusterIP` is not specified")),
        (_, 0) => errors.push(ips.required("")),
        (ip, _) if ip != first => {
            errors.push(ips.invalid("first value must match `clusterIP`"));
        }
        _ => {}
    }
    validate_families(spec, errors);
    if !validate_ips(&ips, errors) {
        return;
    }
    let parsed: Vec<IpAddr> = ips.items().filter_map(|ip| ip.str().parse().ok()).collect();
    let fours = parsed.iter().filter(|ip| ip.is_ipv4()).count();
    if parsed.len() > 1 && (fours == 0 || fours == parsed.len()) {
        errors.push(ips.invalid("may specify no more than one IP for each IP family"));
    }
    if is_headless(spec) {
        return;
    }
    let families = spec.get("ipFamilies");
    for (i, (ip, family)) in ips.items().zip(families.items()).enumerate() {
        let is_four = ip.str().parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4());
        let wrong = match family.str() {
            "IPv4" => !is_four,
            "IPv6" => is_four,
            _ => false,
        };
        if wrong {
            errors.push(ip.invalid(format!(
                "expected an {} value as indicated by `ipFamilies[{i}]`",
                family.str()
            )));
        }
    }
}

fn validate_families(spec: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for family in spec.get("ipFamilies").items() {
        if !matches!(family.str(), "IPv4" | "IPv6") {
            errors.push(family.not_supported(&["IPv4", "IPv6"]));
        }
        if !seen.insert(family.str()) {
            errors.push(family.duplicate());
        }
    }
    let policy = spec.get("ipFamilyPolicy");
    check::one_of(
        &policy,
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
        errors,
    );
}

/// Whether all addresses are such, so that one may ask how they fit together.
fn validate_ips(ips: &Field<'_>, errors: &mut Errors) -> bool {
    let before = errors.0.len();
    for (i, ip) in ips.items().enumerate() {
        if i == 0 && ip.str() == "None" {
            if ips.len() > 1 {
                errors.push(ips.invalid("'None' must be the first and only value"));
            }
            continue;
        }
        check::ip(&ip, errors);
    }
    let valid = errors.0.len() == before;
    if ips.len() > 2 {
        errors.push(ips.invalid("may only hold up to 2 values"));
    }
    valid
}

/// Addresses and families stay; a second one may come and go.
pub(super) fn validate_update(spec: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let external = |spec: &Field<'_>| spec.get("type").str() == "ExternalName";
    if external(spec) || external(old) {
        return;
    }
    let (is, was) = (is_headless(spec), is_headless(old));
    if !(is && was) {
        validate_kept(spec, old, "clusterIPs", "clusterIP", errors);
    }
    if !is && !was {
        validate_kept(spec, old, "ipFamilies", "ipFamily", errors);
    }
}

fn validate_kept(spec: &Field<'_>, old: &Field<'_>, list: &str, one: &str, errors: &mut Errors) {
    let (new, before) = (spec.get(list), old.get(list));
    let shown = || {
        new.value
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()))
    };
    let mut complain = |i: usize, detail: String| {
        errors.push(FieldError::invalid(&new.path.index(i), shown(), detail));
    };
    if before.len() > new.len() && new.is_empty() {
        complain(0, format!("primary {one} can not be unset"));
    }
    for (i, (a, b)) in before.items().zip(new.items()).enumerate() {
        if a.str() != b.str() && (i == 0 || before.len() == new.len()) {
            let i = if one == "ipFamily" { 0 } else { i };
            complain(i, "may not change once set".into());
        }
    }
    let policy = spec.get("ipFamilyPolicy");
    if before.len() > new.len() && new.len() == 1 && policy.str() != "SingleStack" {
        let shown = policy.value.cloned().unwrap_or_default();
        errors.push(FieldError::invalid(
            &policy.path,
            shown,
            format!("must be set to 'SingleStack' when releasing the secondary {one}"),
        ));
    }
}
