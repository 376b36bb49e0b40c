//! What a Service is when its author does not say. Follows
//! pkg/apis/core/v1/defaults.go.

use super::externally_accessible;
use crate::fill::{self, items};
use meta::{Value, value};

/// How long a client stays with its endpoint, in seconds.
const AFFINITY_SECONDS: i64 = 10800;

pub(super) fn fill(object: &mut Value) {
    let spec = object.make_object().entry("spec");
    fill_affinity(spec);
    fill::empty(spec, "type", "ClusterIP");
    for port in items(spec, "ports") {
        fill::empty(port, "protocol", "TCP");
        let number = port.i64_at(&["port"]).unwrap_or_default();
        fill::empty(port, "targetPort", number);
    }
    if externally_accessible(spec) {
        fill::empty(spec, "externalTrafficPolicy", "Cluster");
    }
    let ty = spec.str_at(&["type"]).to_string();
    if matches!(ty.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fill::absent(spec, "internalTrafficPolicy", "Cluster");
    }
    if ty == "LoadBalancer" {
        fill::absent(spec, "allocateLoadBalancerNodePorts", true);
        let balancer = object.at_mut(&["status", "loadBalancer"]);
        for ingress in balancer.into_iter().flat_map(|b| items(b, "ingress")) {
            if !ingress.str_at(&["ip"]).is_empty() {
                fill::absent(ingress, "ipMode", "VIP");
            }
        }
    }
}

fn fill_affinity(spec: &mut Value) {
    fill::empty(spec, "sessionAffinity", "None");
    let timeout = ["sessionAffinityConfig", "clientIP", "timeoutSeconds"];
    match spec.str_at(&["sessionAffinity"]) {
        "None" => drop(spec.remove_at(&timeout[..1])),
        "ClientIP" if spec.i64_at(&timeout).is_none() => {
            let config = value!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
            spec.set_at(&timeout[..1], config);
        }
        _ => {}
    }
}
