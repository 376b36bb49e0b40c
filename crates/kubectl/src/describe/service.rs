//! Service, Endpoints and EndpointSlice.

use super::writer::Writer;
use super::{Described, resource, text};
use meta::Value;

/// So many endpoints are shown by address.
const SHOWN_MAX: usize = 3;

pub(super) async fn service(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    let spec = |key| object.str_at(&["spec", key]);
    it.head(w);
    it.labels(w);
    it.annotations(w);
    w.field(
        0,
        "Selector",
        text::one_line(object.at(&["spec", "selector"])),
    );
    w.field(0, "Type", spec("type"));
    w.field_unless_empty(0, "IP Family Policy", spec("ipFamilyPolicy"));
    let joined = |path: &[&str]| text::strings(object, path).join(",");
    let families = joined(&["spec", "ipFamilies"]);
    w.field(0, "IP Families", text::or_none(&families));
    w.field(0, "IP", spec("clusterIP"));
    w.field(0, "IPs", text::or_none(&joined(&["spec", "clusterIPs"])));
    w.field_unless_empty(0, "External IPs", &joined(&["spec", "externalIPs"]));
    w.field_unless_empty(0, "Desired LoadBalancer IP", spec("loadBalancerIP"));
    w.field_unless_empty(0, "External Name", spec("externalName"));
    w.field_unless_empty(0, "LoadBalancer Ingress", &ingress(object));
    let labels = format!("kubernetes.io/service-name={}", it.name());
    let slices = resource("discovery.k8s.io", "v1", "endpointslices");
    let slices = it.source.list(&slices, it.namespace(), &labels, "").await;
    let slices = slices.unwrap_or_default();
    for port in object.items_at(&["spec", "ports"]) {
        ports(port, &slices, w);
    }
    w.field(0, "Session Affinity", spec("sessionAffinity"));
    w.field_unless_empty(0, "External Traffic Policy", spec("externalTrafficPolicy"));
    w.field_unless_empty(0, "Internal Traffic Policy", spec("internalTrafficPolicy"));
    let health = object.i64_at(&["spec", "healthCheckNodePort"]);
    if let Some(port) = health.filter(|&port| port != 0) {
        w.field(0, "HealthCheck NodePort", port);
    }
    let ranges = joined(&["spec", "loadBalancerSourceRanges"]);
    w.field_unless_empty(0, "LoadBalancer Source Ranges", &ranges);
    it.events(w).await;
}

fn ingress(object: &Value) -> String {
    let list = object
        .items_at(&["status", "loadBalancer", "ingress"])
        .iter();
    let texts = list.map(|entry| {
        let [ip, mode, hostname] = ["ip", "ipMode", "hostname"].map(|key| entry.str_at(&[key]));
        match (ip, mode) {
            ("", _) => hostname.to_string(),
            (ip, "") => ip.to_string(),
            (ip, mode) => format!("{ip} ({mode})"),
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn ports(port: &Value, slices: &[Value], w: &mut Writer) {
    let name = port.str_at(&["name"]);
    let shown = if name.is_empty() { "<unset>" } else { name };
    let protocol = port.str_at(&["protocol"]);
    let number = port.i64_at(&["port"]).unwrap_or_default();
    w.line(0, &format!("Port:\t{shown}\t{number}/{protocol}"));
    let target = text::show(port.get("targetPort"));
    w.field(0, "TargetPort", format!("{target}/{protocol}"));
    let node = port.i64_at(&["nodePort"]).filter(|&port| port != 0);
    if let Some(node) = node {
        w.line(0, &format!("NodePort:\t{shown}\t{node}/{protocol}"));
    }
    w.field(0, "Endpoints", ready_endpoints(slices, name));
}

/// The first few ready endpoints of a port of a service.
fn ready_endpoints(slices: &[Value], name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_string();
    }
    let mut all = Vec::new();
    for slice in slices {
        let addresses: Vec<&str> = slice
            .items_at(&["endpoints"])
            .iter()
            .filter(|e| e.at(&["conditions", "ready"]).and_then(Value::as_bool) != Some(false))
            .filter_map(|e| e.items_at(&["addresses"]).first()?.as_str())
            .collect();
        let ports = slice.items_at(&["ports"]);
        if ports.is_empty() {
            all.extend(addresses.iter().map(|address| (*address).to_string()));
        }
        for port in ports.iter().filter(|port| port.str_at(&["name"]) == name) {
            let number = text::show(port.get("port"));
            all.extend(addresses.iter().map(|address| match address.contains(':') {
                true => format!("[{address}]:{number}"),
                false => format!("{address}:{number}"),
            }));
        }
    }
    let shown = all[..all.len().min(SHOWN_MAX)].join(",");
    match all.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

pub(super) async fn endpoints(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    w.line(0, "Subsets:");
    for subset in it.object.items_at(&["subsets"]) {
        for (key, title) in [
            ("addresses", "Addresses"),
            ("notReadyAddresses", "NotReadyAddresses"),
        ] {
            let ips = subset.items_at(&[key]).iter().map(|a| a.str_at(&["ip"]));
            let ips = ips.collect::<Vec<_>>().join(",");
            w.field(1, title, text::or_none(&ips));
        }
        let ports = subset.items_at(&["ports"]);
        if !ports.is_empty() {
            w.line(1, "Ports:");
            w.line(2, "Name\tPort\tProtocol");
            w.line(2, "----\t----\t--------");
        }
        for port in ports {
            w.line(2, &port_row(port));
        }
        w.line(0, "");
    }
    it.events(w).await;
}

fn unset(text: &str) -> &str {
    if text.is_empty() { "<unset>" } else { text }
}

fn port_row(port: &Value) -> String {
    let number = text::show(port.get("port"));
    let (name, protocol) = (port.str_at(&["name"]), port.str_at(&["protocol"]));
    format!("{}\t{}\t{protocol}", unset(name), unset(&number))
}

pub(super) async fn endpoint_slice(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    w.field(0, "AddressType", it.object.str_at(&["addressType"]));
    let ports = it.object.items_at(&["ports"]);
    if ports.is_empty() {
        w.line(0, "Ports: <unset>");
    } else {
        w.line(0, "Ports:");
        w.line(1, "Name\tPort\tProtocol");
        w.line(1, "----\t----\t--------");
    }
    for port in ports {
        w.line(1, &port_row(port));
    }
    let endpoints = it.object.items_at(&["endpoints"]);
    w.line(
        0,
        if endpoints.is_empty() {
            "Endpoints: <none>"
        } else {
            "Endpoints:"
        },
    );
    for endpoint in endpoints {
        one_endpoint(endpoint, w);
    }
    it.events(w).await;
}

fn one_endpoint(endpoint: &Value, w: &mut Writer) {
    let addresses = text::strings(endpoint, &["addresses"]).join(", ");
    w.field(1, "- Addresses", text::or_none(&addresses));
    w.line(2, "Conditions:");
    let ready = text::show(endpoint.at(&["conditions", "ready"]));
    w.field(3, "Ready", unset(&ready));
    w.field(2, "Hostname", unset(endpoint.str_at(&["hostname"])));
    if let Some(target) = endpoint.get("targetRef") {
        let (kind, name) = (target.str_at(&["kind"]), target.str_at(&["name"]));
        w.field(2, "TargetRef", format!("{kind}/{name}"));
    }
    w.field(2, "NodeName", unset(endpoint.str_at(&["nodeName"])));
    w.field(2, "Zone", unset(endpoint.str_at(&["zone"])));
}
