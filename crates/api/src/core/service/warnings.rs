//! What in a Service works, and is probably not meant. Follows
//! pkg/api/service/warnings.go.

use meta::Value;
use meta::object::Object as _;

/// The older name of the annotation for topology aware routing, and the newer.
const HINTS: [&str; 2] = [
    "service.kubernetes.io/topology-aware-hints",
    "service.kubernetes.io/topology-mode",
];

pub(super) fn of(service: &Value) -> Vec<String> {
    let spec = |key| service.str_at(&["spec", key]);
    let external_ips = !service.items_at(&["spec", "externalIPs"]).is_empty();
    let headless = spec("type") == "ClusterIP" && spec("clusterIP") == "None";
    let is_name = spec("type") == "ExternalName";
    let cases = [
        (
            headless && !spec("loadBalancerIP").is_empty(),
            "spec.loadBalancerIP is ignored for headless services",
        ),
        (
            headless && external_ips,
            "spec.externalIPs is ignored for headless services",
        ),
        (
            headless && spec("sessionAffinity") != "None",
            "spec.SessionAffinity is ignored for headless services",
        ),
        (
            external_ips && !headless && !is_name,
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ),
        (
            external_ips && is_name,
            "spec.externalIPs is ignored when spec.type is \"ExternalName\"",
        ),
        (
            !is_name && !spec("externalName").is_empty(),
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ),
        (
            spec("trafficDistribution") == "PreferClose",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ),
    ];
    let [old, new] = HINTS;
    let hints = service.annotation(old).is_some();
    let hints = hints.then(|| format!("annotation {old} is deprecated, please use {new} instead"));
    let told = cases.into_iter().filter(|(holds, _)| *holds);
    hints
        .into_iter()
        .chain(told.map(|(_, text)| text.to_string()))
        .collect()
}
