//! What a Service may hold. Follows pkg/apis/core/validation/validation.go.

use super::{addresses, externally_accessible, needs_health_check};
use crate::check;
use crate::metadata::{same, validate_labels};
use meta::{Errors, Field, FieldError, Path, Value, value};
use std::collections::BTreeSet;

const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
/// Longest that a client may stay with its endpoint, in seconds.
const AFFINITY_SECONDS_MAX: i64 = 86400;

/// What is wrong with a service.
pub(super) fn create(service: &Field<'_>, errors: &mut Errors) {
    let spec = service.get("spec");
    let ports = spec.get("ports");
    let ty = spec.get("type");
    let headless = is_headless(&spec);
    if ports.is_empty() && !headless && ty.str() != "ExternalName" {
        errors.push(ports.required(""));
    }
    validate_type(&spec, headless, errors);
    validate_ports(&spec, errors);
    validate_labels(&spec.get("selector"), errors);
    validate_affinity(&spec, errors);
    addresses::validate(&spec, errors);
    for ip in spec.get("externalIPs").items() {
        let before = errors.0.len();
        check::ip(&ip, errors);
        if errors.0.len() == before {
            check::non_special_ip(&ip, errors);
        }
    }
    check::required_one_of(&ty, TYPES, errors);
    validate_node_ports(&spec, errors);
    validate_source_ranges(service, errors);
    validate_load_balancer(&spec, errors);
    validate_external_traffic(&spec, errors);
    validate_internal_traffic(&spec, errors);
    let distribution = spec.get("trafficDistribution");
    if distribution.is_present() {
        check::required_one_of(
            &distribution,
            &["PreferClose", "PreferSameNode", "PreferSameZone"],
            errors,
        );
    }
}

/// What is wrong with a change of a service.
pub(super) fn update(service: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (spec, before) = (service.get("spec"), old.get("spec"));
    addresses::validate_update(&spec, &before, errors);
    let class = spec.get("loadBalancerClass");
    let balances = |spec: &Field<'_>| spec.get("type").str() == "LoadBalancer";
    if balances(&spec) && balances(&before) && !same(&class, &before.get("loadBalancerClass")) {
        errors.push(class.invalid("may not change once set"));
    }
    let health = spec.get("healthCheckNodePort");
    let needs = |spec: &Field<'_>| spec.value.is_some_and(needs_health_check);
    if needs(&spec) && needs(&before) && health.int() != before.get("healthCheckNodePort").int() {
        errors.push(health.forbidden("field is immutable"));
    }
    create(service, errors);
}

/// What is wrong with the status of a service.
pub(super) fn status(service: &Field<'_>, errors: &mut Errors) {
    let ingress = service.at(&["status", "loadBalancer", "ingress"]);
    if service.at(&["spec", "type"]).str() != "LoadBalancer" && !ingress.is_empty() {
        let detail = "may only be used when `spec.type` is 'LoadBalancer'";
        errors.push(ingress.forbidden(detail));
        return;
    }
    for point in ingress.items() {
        let (ip, mode) = (point.get("ip"), point.get("ipMode"));
        match (ip.is_empty(), mode.is_present()) {
            (false, false) => errors.push(mode.required("must be specified when `ip` is set")),
            (true, true) => {
                errors.push(mode.forbidden("may not be specified when `ip` is not set"));
            }
            _ => check::one_of(&mode, &["Proxy", "VIP"], errors),
        }
        if !ip.is_empty() {
            check::ip(&ip, errors);
        }
        let name = point.get("hostname");
        if !name.is_empty() {
            check::dns_subdomain(&name, errors);
            if name.str().parse::<std::net::IpAddr>().is_ok() {
                errors.push(name.invalid("must be a DNS name, not an IP address"));
            }
        }
    }
}

/// Whether a service has no address of its own.
pub(super) fn is_headless(spec: &Field<'_>) -> bool {
    let ips = spec.get("clusterIPs");
    ips.len() == 1 && ips.items().any(|ip| ip.str() == "None")
}

fn validate_type(spec: &Field<'_>, headless: bool, errors: &mut Errors) {
    let ty = spec.get("type").str();
    match ty {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {ty} services");
            let first = spec.get("clusterIPs").items().next();
            errors.0.extend(first.map(|ip| ip.invalid(detail)));
        }
        "ExternalName" => {
            for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.get(key).is_empty() {
                    let detail = "may not be set for ExternalName services";
                    errors.push(spec.get(key).forbidden(detail));
                }
            }
            let name = spec.get("externalName");
            match name.str().strip_suffix('.').unwrap_or(name.str()) {
                "" => errors.push(name.required("")),
                text => {
                    for detail in meta::names::dns1123_subdomain(text) {
                        errors.push(FieldError::invalid(&name.path, text, detail));
                    }
                }
            }
        }
        _ => {}
    }
}

fn validate_ports(spec: &Field<'_>, errors: &mut Errors) {
    let ports = spec.get("ports");
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.push(name.required(""));
            }
        } else {
            check::dns_label(&name, errors);
            if !names.insert(name.str()) {
                errors.push(name.duplicate());
            }
        }
        check::port(&port.get("port"), errors);
        let protocol = port.get("protocol");
        check::protocol(&protocol, errors);
        if protocol.str() == "SCTP" {
            errors.push(check::unsupported(&protocol, "SCTP"));
        }
        check::port_or_name(&port.get("targetPort"), errors);
        let app = port.get("appProtocol");
        if app.is_present() {
            check::qualified_name(&app, errors);
        }
    }
}

/// Node ports only where the type has them; each port once for its protocol.
fn validate_node_ports(spec: &Field<'_>, errors: &mut Errors) {
    let ports = spec.get("ports");
    if spec.get("type").str() == "ClusterIP" {
        for port in ports.items().map(|p| p.get("nodePort")) {
            if port.int() != 0 {
                errors.push(port.forbidden("may not be used when `type` is 'ClusterIP'"));
            }
        }
    }
    let (mut node_ports, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        let node = port.get("nodePort");
        if node.int() != 0 && !node_ports.insert((port.get("protocol").str(), node.int())) {
            errors.push(node.duplicate());
        }
    }
    for port in ports.items() {
        let (protocol, number) = (port.get("protocol").str(), port.get("port").int());
        if !numbers.insert((protocol, number)) {
            let shown = value!({"protocol": protocol, "port": number, "targetPort": 0});
            errors.push(Field::new(port.path.clone(), Some(&shown)).duplicate());
        }
    }
}

fn validate_affinity(spec: &Field<'_>, errors: &mut Errors) {
    let (affinity, config) = (
        spec.get("sessionAffinity"),
        spec.get("sessionAffinityConfig"),
    );
    check::required_one_of(&affinity, &["ClientIP", "None"], errors);
    match affinity.str() {
        "ClientIP" => {
            let timeout = config.at(&["clientIP", "timeoutSeconds"]);
            let missing = [config.clone(), config.get("clientIP"), timeout.clone()];
            if let Some(field) = missing.iter().find(|f| !f.is_present()) {
                errors.push(field.required("when session affinity type is ClientIP"));
            } else if !(1..=AFFINITY_SECONDS_MAX).contains(&timeout.int()) {
                errors.push(timeout.invalid(format!(
                    "must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"
                )));
            }
        }
        "None" if config.is_present() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        _ => {}
    }
}

fn validate_source_ranges(service: &Field<'_>, errors: &mut Errors) {
    let spec = service.get("spec");
    let balances = spec.get("type").str() == "LoadBalancer";
    let ranges = spec.get("loadBalancerSourceRanges");
    let check_range = |path: &Path, text: &str, errors: &mut Errors| {
        let value = Value::from(text.trim());
        check::cidr(&Field::new(path.clone(), Some(&value)), errors);
    };
    if !ranges.is_empty() {
        // Upstream's path is spelt as the Go field is.
        let path = spec.path.child("LoadBalancerSourceRanges");
        if !balances {
            errors.push(Field::new(path.clone(), None).forbidden(ONLY_LOAD_BALANCER));
        }
        for (i, range) in ranges.items().enumerate() {
            check_range(&path.index(i), range.str(), errors);
        }
        return;
    }
    let key = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let annotation = service.at(&["metadata", "annotations"]).get(key);
    if !annotation.is_present() {
        return;
    }
    let path = Path::new("metadata.annotations").key(key);
    if !balances {
        errors.push(Field::new(path.clone(), None).forbidden(ONLY_LOAD_BALANCER));
    }
    let text = annotation.str().trim();
    for range in text.split(',').filter(|_| !text.is_empty()) {
        check_range(&path, range, errors);
    }
}

fn validate_load_balancer(spec: &Field<'_>, errors: &mut Errors) {
    let balances = spec.get("type").str() == "LoadBalancer";
    let (allocate, class) = (
        spec.get("allocateLoadBalancerNodePorts"),
        spec.get("loadBalancerClass"),
    );
    match (balances, allocate.is_present()) {
        (false, true) => errors.push(allocate.forbidden(ONLY_LOAD_BALANCER)),
        (true, false) => {
            let path = Path::new("allocateLoadBalancerNodePorts");
            errors.push(Field::new(path, None).required(""));
        }
        _ => {}
    }
    match (balances, class.is_present()) {
        (true, true) => check::qualified_name(&class, errors),
        (false, true) => errors.push(class.forbidden(ONLY_LOAD_BALANCER)),
        _ => {}
    }
}

fn validate_external_traffic(spec: &Field<'_>, errors: &mut Errors) {
    let policy = spec.get("externalTrafficPolicy");
    match spec.value.is_some_and(externally_accessible) {
        true => check::required_one_of(&policy, &["Cluster", "Local"], errors),
        false if !policy.is_empty() => {
            errors.push(policy.invalid("may only be set for externally-accessible services"));
        }
        false => {}
    }
    let health = spec.get("healthCheckNodePort");
    if health.int() == 0 {
        return;
    }
    match spec.value.is_some_and(needs_health_check) {
        true => check::port(&health, errors),
        false => errors.push(health.invalid(
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )),
    }
}

fn validate_internal_traffic(spec: &Field<'_>, errors: &mut Errors) {
    let policy = spec.get("internalTrafficPolicy");
    let wanted = matches!(
        spec.get("type").str(),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    );
    if !policy.is_present() {
        if wanted {
            errors.push(policy.required(""));
        }
        return;
    }
    if !matches!(policy.str(), "Cluster" | "Local") {
        errors.push(policy.not_supported(&["Cluster", "Local"]));
    }
}
