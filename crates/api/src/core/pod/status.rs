//! What may be said of how a pod is. Follows
//! pkg/apis/core/validation/validation.go (ValidatePodStatusUpdate).

use super::validate;
use crate::check;
use crate::metadata::immutable;
use meta::{Errors, Field, FieldError, Path, names};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) fn validate(pod: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    validate::annotations_update(pod, old, errors);
    let (status, before) = (pod.get("status"), old.get("status"));
    conditions(&status.get("conditions"), errors);
    if pod.at(&["spec", "nodeName"]).str() != old.at(&["spec", "nodeName"]).str() {
        errors.push(
            status
                .get("nodeName")
                .forbidden("may not be changed directly"),
        );
    }
    let nominated = status.get("nominatedNodeName");
    if !nominated.is_empty() && nominated.str() != before.get("nominatedNodeName").str() {
        check::dns_subdomain(&nominated, errors);
    }
    immutable(&status.get("qosClass"), &before.get("qosClass"), errors);
    let policy = old.at(&["spec", "restartPolicy"]).str();
    transitions(&status, &before, "containerStatuses", policy, errors);
    transitions_of_init(&status, old, policy, errors);
    transitions(
        &status,
        &before,
        "ephemeralContainerStatuses",
        "Never",
        errors,
    );
    pod_ips(&status.get("podIPs"), errors);
    host_ips(&status, errors);
}

/// Upstream's paths name the metadata.
fn conditions(conditions: &Field<'_>, errors: &mut Errors) {
    for (i, condition) in conditions.items().enumerate() {
        let ty = condition.get("type").str();
        if matches!(ty, "PodScheduled" | "Ready" | "Initialized") {
            continue;
        }
        let path = Path::new("metadata.conditions").index(i).child("Type");
        for detail in names::qualified_name(ty) {
            errors.push(FieldError::invalid(&path, ty, detail));
        }
    }
}

/// A container that has ended for good does not run again.
fn transitions(
    status: &Field<'_>,
    before: &Field<'_>,
    list: &str,
    policy: &str,
    errors: &mut Errors,
) {
    if policy == "Always" {
        return;
    }
    for (i, old) in before.get(list).items().enumerate() {
        transition(&status.get(list), i, &old, policy, errors);
    }
}

fn transitions_of_init(status: &Field<'_>, old: &Field<'_>, policy: &str, errors: &mut Errors) {
    if policy == "Always" {
        return;
    }
    let containers = old.at(&["spec", "initContainers"]);
    let list = "initContainerStatuses";
    for (i, before) in old.at(&["status", list]).items().enumerate() {
        let name = before.get("name").str();
        let mut own = containers.items().filter(|c| c.get("name").str() == name);
        if !own.any(|c| c.get("restartPolicy").str() == "Always") {
            transition(&status.get(list), i, &before, policy, errors);
        }
    }
}

fn transition(list: &Field<'_>, i: usize, old: &Field<'_>, policy: &str, errors: &mut Errors) {
    let ended = old.at(&["state", "terminated"]);
    let failed = ended.get("exitCode").int() != 0;
    if !ended.is_present() || (failed && policy == "OnFailure") {
        return;
    }
    let name = old.get("name").str();
    let mut now = list.items().filter(|s| s.get("name").str() == name);
    if now.any(|s| !s.at(&["state", "terminated"]).is_present()) {
        let field = Field::new(list.path.index(i).child("state"), None);
        errors.push(field.forbidden("may not be transitioned to non-terminated state"));
    }
}

fn pod_ips(ips: &Field<'_>, errors: &mut Errors) {
    for ip in ips.items() {
        ip_of(&ip, errors);
    }
    one_of_each_family(ips, errors);
}

fn host_ips(status: &Field<'_>, errors: &mut Errors) {
    let ips = status.get("hostIPs");
    let Some(first) = ips.items().next().map(|ip| ip.get("ip")) else {
        return;
    };
    if first.str() != status.get("hostIP").str() {
        errors.push(first.invalid("must be equal to `hostIP`"));
    }
    for ip in ips.items() {
        ip_of(&ip, errors);
    }
    one_of_each_family(&ips, errors);
}

/// Upstream's paths name the item, not its only field.
fn ip_of(item: &Field<'_>, errors: &mut Errors) {
    check::ip(&Field::new(item.path.clone(), item.get("ip").value), errors);
}

fn one_of_each_family(ips: &Field<'_>, errors: &mut Errors) {
    let parsed: Vec<IpAddr> = ips
        .items()
        .filter_map(|ip| ip.get("ip").str().parse().ok())
        .collect();
    if ips.len() < 2 || parsed.len() != ips.len() {
        return;
    }
    let fours = parsed.iter().filter(|ip| ip.is_ipv4()).count();
    if fours != 1 || parsed.len() != 2 {
        errors.push(ips.invalid("may specify no more than one IP for each IP family"));
    }
    let mut seen = BTreeSet::new();
    for (item, ip) in ips.items().zip(parsed) {
        if !seen.insert(ip) {
            errors.push(item.duplicate());
        }
    }
}
