//! What `kubectl get services` prints. Follows pkg/printers/internalversion/printers.go.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;
use std::collections::BTreeSet;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Type", "string"),
    Column::new("Cluster-IP", "string"),
    Column::new("External-IP", "string"),
    Column::new("Port(s)", "string"),
    AGE,
    Column::wide("Selector", "string"),
];

pub(super) fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let cluster_ip = service.items_at(&["spec", "clusterIPs"]).first();
    vec![
        print::name(service),
        service.str_at(&["spec", "type"]).into(),
        cluster_ip
            .and_then(Value::as_str)
            .unwrap_or("<none>")
            .into(),
        external_ip(service).into(),
        ports(service).into(),
        print::age(service, now),
        print::labels(service.at(&["spec", "selector"])).into(),
    ]
}

fn external_ip(service: &Value) -> String {
    let externals = texts(service.items_at(&["spec", "externalIPs"]));
    match service.str_at(&["spec", "type"]) {
        "ClusterIP" | "NodePort" if externals.is_empty() => "<none>".into(),
        "ClusterIP" | "NodePort" => externals.join(","),
        "LoadBalancer" => {
            let mut all: Vec<String> = load_balancer(service).into_iter().collect();
            all.extend(externals);
            match all.is_empty() {
                true => "<pending>".into(),
                false => all.join(","),
            }
        }
        "ExternalName" => service.str_at(&["spec", "externalName"]).into(),
        _ => "<unknown>".into(),
    }
}

fn load_balancer(service: &Value) -> BTreeSet<String> {
    let ingress = service.items_at(&["status", "loadBalancer", "ingress"]);
    let name = |i: &Value| match i.str_at(&["ip"]) {
        "" => i.str_at(&["hostname"]).to_string(),
        ip => ip.to_string(),
    };
    ingress.iter().map(name).filter(|n| !n.is_empty()).collect()
}

fn texts(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_string)
        .collect()
}

fn ports(service: &Value) -> String {
    let ports = service.items_at(&["spec", "ports"]);
    let show = |port: &Value| {
        let number = port.i64_at(&["port"]).unwrap_or_default();
        let protocol = port.str_at(&["protocol"]);
        match port.i64_at(&["nodePort"]) {
            Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    match ports.is_empty() {
        true => "<none>".into(),
        false => ports.iter().map(show).collect::<Vec<_>>().join(","),
    }
}
