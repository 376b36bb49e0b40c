//! What of a Service follows from what it was: addresses and ports that were
//! given to it stay when a client leaves them out, and go with the type that
//! needed them. Follows pkg/registry/core/service (strategy.go,
//! storage/storage.go, alloc.go).

use super::{externally_accessible, needs_health_check};
use crate::fill::items;
use meta::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `clusterIP` alone is what older clients write.
pub(super) fn prepare_create(object: &mut Value) {
    let spec = object.make_object().entry("spec");
    let ip = spec.str_at(&["clusterIP"]).to_string();
    if !ip.is_empty() && spec.items_at(&["clusterIPs"]).is_empty() {
        spec.set_at(&["clusterIPs"], vec![ip]);
    }
}

pub(super) fn prepare_update(object: &mut Value, old: &Value) {
    let none = Value::object();
    let old = old.get("spec").unwrap_or(&none);
    let spec = object.make_object().entry("spec");
    keep_given(spec, old);
    agree_on_cluster_ips(spec, old);
    drop_needless(spec, old);
}

fn is_type(spec: &Value, types: &[&str]) -> bool {
    types.contains(&spec.str_at(&["type"]))
}

fn needs_cluster_ip(spec: &Value) -> bool {
    is_type(spec, &["ClusterIP", "NodePort", "LoadBalancer"])
}

fn needs_node_port(spec: &Value) -> bool {
    is_type(spec, &["NodePort"])
        || (is_type(spec, &["LoadBalancer"])
            && spec.at(&["allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false)))
}

fn same(a: &Value, b: &Value, key: &str) -> bool {
    let at = |v: &Value| v.get(key).filter(|v| !v.is_empty()).cloned();
    at(a) == at(b)
}

fn copy(spec: &mut Value, old: &Value, key: &str) {
    if let Some(value) = old.get(key) {
        spec.set_at(&[key], value.clone());
    }
}

/// What was given stays when the client did not write it.
fn keep_given(spec: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(spec) {
        if spec.str_at(&["clusterIP"]).is_empty() {
            copy(spec, old, "clusterIP");
        }
        if spec.items_at(&["clusterIPs"]).is_empty() && same(spec, old, "clusterIP") {
            copy(spec, old, "clusterIPs");
        }
    }
    if needs_node_port(old) && needs_node_port(spec) {
        keep_node_ports(spec, old);
    }
    if needs_health_check(old)
        && needs_health_check(spec)
        && spec.i64_at(&["healthCheckNodePort"]).unwrap_or_default() == 0
    {
        copy(spec, old, "healthCheckNodePort");
    }
}

/// Ports of the same name keep their node port, unless another has taken it.
fn keep_node_ports(spec: &mut Value, old: &Value) {
    let number = |port: &Value| port.i64_at(&["nodePort"]).unwrap_or_default();
    let used =
        |spec: &Value| -> BTreeSet<i64> { spec.items_at(&["ports"]).iter().map(number).collect() };
    let mut taken: BTreeSet<i64> = &used(spec) & &used(old);
    let by_name: BTreeMap<&str, i64> = old
        .items_at(&["ports"])
        .iter()
        .map(|port| (port.str_at(&["name"]), number(port)))
        .collect();
    for port in items(spec, "ports") {
        if number(port) != 0 {
            continue;
        }
        let before = by_name.get(port.str_at(&["name"])).copied();
        if let Some(before) = before.filter(|n| *n != 0)
            && taken.insert(before)
        {
            port.set_at(&["nodePort"], before);
        }
    }
}

/// A client that knows only `clusterIP` means the first of `clusterIPs`.
fn agree_on_cluster_ips(spec: &mut Value, old: &Value) {
    let unsaid = spec.items_at(&["clusterIPs"]).is_empty();
    if same(spec, old, "clusterIP") {
        if unsaid && !old.items_at(&["clusterIPs"]).is_empty() {
            copy(spec, old, "clusterIPs");
        }
        return;
    }
    if !same(spec, old, "clusterIPs") {
        return;
    }
    match spec.str_at(&["clusterIP"]).to_string() {
        ip if ip.is_empty() => drop(spec.remove_at(&["clusterIPs"])),
        ip => spec.set_at(&["clusterIPs"], vec![ip]),
    }
}

/// What the older type needed and the newer does not goes, unless the client
/// has changed it on purpose.
fn drop_needless(spec: &mut Value, old: &Value) {
    let drop_all = |before: bool, after: bool, keys: &[&str], spec: &mut Value| {
        if before && !after {
            for key in keys {
                if same(spec, old, key) {
                    spec.remove_at(&[key]);
                }
            }
        }
    };
    let (before, after) = (needs_cluster_ip(old), needs_cluster_ip(spec));
    let addresses = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
    drop_all(before, after, &addresses, spec);
    let (before, after) = (needs_health_check(old), needs_health_check(spec));
    drop_all(before, after, &["healthCheckNodePort"], spec);
    let balances = |spec: &Value| is_type(spec, &["LoadBalancer"]);
    let (before, after) = (balances(old), balances(spec));
    let own = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
    drop_all(before, after, &own, spec);
    let (before, after) = (externally_accessible(old), externally_accessible(spec));
    drop_all(before, after, &["externalTrafficPolicy"], spec);
    drop_node_ports(spec, old);
}

fn drop_node_ports(spec: &mut Value, old: &Value) {
    let ports = |spec: &Value| -> BTreeSet<i64> {
        let ports = spec.items_at(&["ports"]).iter();
        ports
            .filter_map(|port| port.i64_at(&["nodePort"]))
            .collect()
    };
    if needs_node_port(old) && !needs_node_port(spec) && ports(old) == ports(spec) {
        for port in items(spec, "ports") {
            port.remove_at(&["nodePort"]);
        }
    }
}
