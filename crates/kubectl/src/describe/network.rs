//! IPAddress, ServiceCIDR and NetworkPolicy.

use super::writer::Writer;
use super::{Described, text};
use meta::Value;

pub(super) async fn ip_address(it: &Described<'_>, w: &mut Writer) {
    w.field(0, "Name", it.name());
    it.labels(w);
    it.annotations(w);
    if let Some(parent) = it.object.at(&["spec", "parentRef"]) {
        w.line(0, "Parent Reference:");
        w.field(1, "Group", parent.str_at(&["group"]));
        w.field(1, "Resource", parent.str_at(&["resource"]));
        w.field(1, "Namespace", parent.str_at(&["namespace"]));
        w.field(1, "Name", parent.str_at(&["name"]));
    }
    it.events(w).await;
}

pub(super) async fn service_cidr(it: &Described<'_>, w: &mut Writer) {
    w.field(0, "Name", it.name());
    it.labels(w);
    it.annotations(w);
    let ranges = text::strings(it.object, &["spec", "cidrs"]);
    w.field(0, "CIDRs", ranges.join(", "));
    if !it.object.items_at(&["status", "conditions"]).is_empty() {
        w.line(0, "Status:");
    }
    text::dated_conditions(w, it.object);
    it.events(w).await;
}

pub(super) fn network_policy(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    it.head(w);
    let created = meta::time::parse(object.str_at(&["metadata", "creationTimestamp"]));
    let created = created.map(|at| at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string());
    w.field(0, "Created on", created.unwrap_or_default());
    it.labels(w);
    it.annotations(w);
    w.line(0, "Spec:");
    let selector = object.at(&["spec", "podSelector"]);
    let shown = match selector.is_none_or(Value::is_empty) {
        true => "<none> (Allowing the specific traffic to all pods in this namespace)".to_string(),
        false => text::selector(selector),
    };
    w.line(1, &format!("PodSelector:     {shown}"));
    let types = text::strings(object, &["spec", "policyTypes"]);
    if types.contains(&"Ingress") {
        w.line(1, "Allowing ingress traffic:");
        rules(object, &INGRESS, w);
    } else {
        w.line(1, "Not affecting ingress traffic");
    }
    if types.contains(&"Egress") {
        w.line(1, "Allowing egress traffic:");
        rules(object, &EGRESS, w);
    } else {
        w.line(1, "Not affecting egress traffic");
    }
    let types = types.join(", ");
    w.line(1, &format!("Policy Types: {}", text::or_none(&types)));
}

struct Direction {
    rules: &'static str,
    peers: &'static str,
    title: &'static str,
    none: &'static str,
    any: &'static str,
}

const INGRESS: Direction = Direction {
    rules: "ingress",
    peers: "from",
    title: "From",
    none: "<none> (Selected pods are isolated for ingress connectivity)",
    any: "From: <any> (traffic not restricted by source)",
};

const EGRESS: Direction = Direction {
    rules: "egress",
    peers: "to",
    title: "To",
    none: "<none> (Selected pods are isolated for egress connectivity)",
    any: "To: <any> (traffic not restricted by destination)",
};

fn rules(object: &Value, direction: &Direction, w: &mut Writer) {
    let rules = object.items_at(&["spec", direction.rules]);
    if rules.is_empty() {
        return w.line(2, direction.none);
    }
    for (i, rule) in rules.iter().enumerate() {
        if i > 0 {
            w.line(2, "----------");
        }
        ports(rule, w);
        let peers = rule.items_at(&[direction.peers]);
        if peers.is_empty() {
            w.line(2, direction.any);
        }
        for peer in peers {
            w.line(2, &format!("{}:", direction.title));
            one_peer(peer, w);
        }
    }
}

fn ports(rule: &Value, w: &mut Writer) {
    let ports = rule.items_at(&["ports"]);
    if ports.is_empty() {
        w.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for port in ports {
        let protocol = port.get("protocol").and_then(Value::as_str);
        let protocol = protocol.unwrap_or("TCP");
        let from = text::show(port.get("port"));
        match port.i64_at(&["endPort"]) {
            Some(to) => w.line(2, &format!("To Port Range: {from}-{to}/{protocol}")),
            None => w.line(2, &format!("To Port: {from}/{protocol}")),
        }
    }
}

fn one_peer(peer: &Value, w: &mut Writer) {
    for (key, title) in [
        ("namespaceSelector", "NamespaceSelector"),
        ("podSelector", "PodSelector"),
    ] {
        if let Some(selector) = peer.get(key) {
            w.line(3, &format!("{title}: {}", text::selector(Some(selector))));
        }
    }
    if let Some(block) = peer.get("ipBlock") {
        let except = text::strings(block, &["except"]).join(", ");
        w.line(3, "IPBlock:");
        w.line(4, &format!("CIDR: {}", block.str_at(&["cidr"])));
        w.line(4, &format!("Except: {except}"));
    }
}
