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
    for (list, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
        ("ephemeralContainerStatuses", "ephemeralContainers"),
    ] {
        transitions(
            &status.get(list),
            &before.get(list),
            old,
            containers,
            errors,
        );
    }
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
    statuses: &Field<'_>,
    before: &Field<'_>,
    old: &Field<'_>,
    list: &str,
    errors: &mut Errors,
) {
    let spec = old.get("spec");
    for (i, was) in before.items().enumerate() {
        let ended = was.at(&["state", "terminated"]);
        let name = was.get("name").str();
        let named = |c: &Field<'_>| c.get("name").str() == name;
        let container = spec.get(list).items().find(named);
        if !ended.is_present() || may_restart(&spec, container, list, ended.get("exitCode").int()) {
            continue;
        }
        let mut now = statuses.items().filter(named);
        if now.any(|s| !s.at(&["state", "terminated"]).is_present()) {
            let field = Field::new(statuses.path.index(i).child("state"), None);
            errors.push(field.forbidden("may not be transitioned to non-terminated state"));
        }
    }
}

/// Whether a container that ended with this code is started again: by a rule
/// of its own, else by its policy, else by its pod's.
fn may_restart(spec: &Field<'_>, container: Option<Field<'_>>, list: &str, exit_code: i64) -> bool {
    let own = |key: &str| container.as_ref().map(|c| c.get(key));
    let rules = own("restartPolicyRules");
    let matches = |rule: Field<'_>| {
        let codes = rule.get("exitCodes");
        let listed = codes.get("values").items().any(|c| c.int() == exit_code);
        listed == (codes.get("operator").str() == "In")
    };
    if rules.into_iter().flat_map(|r| r.items()).any(matches) {
        return true;
    }
    let policy = own("restartPolicy").filter(|p| !p.is_empty());
    let policy = match (policy, list) {
        (Some(policy), _) => policy.str(),
        (None, "ephemeralContainers") => "Never",
        (None, _) => spec.get("restartPolicy").str(),
    };
    match policy {
        "Always" => true,
        "OnFailure" => exit_code != 0,
        _ => false,
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
