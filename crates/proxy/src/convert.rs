//! From API objects to what the proxy knows of them. What cannot be read is
//! left out, as the API server has validated it long before.

use std::net::IpAddr;

use k8s_openapi::{
    api::{
        core::v1::{Pod, Service as ApiService, ServiceSpec},
        discovery::v1::{Endpoint as ApiEndpoint, EndpointSlice as ApiSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::model::{
    Conditions, Endpoint, EndpointSlice, HostPort, Protocol, Service, ServicePort, SlicePort,
};

/// Whoever has this label is served by another proxy.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
const AFFINITY_DEFAULT: u32 = 10_800;
const AFFINITY_MAX: u32 = 86_400;

/// A Service; none if nothing follows from it, as it is headless, a name
/// elsewhere, or another proxy's.
pub fn service(object: &ApiService) -> Option<Service> {
    let spec = object.spec.as_ref()?;
    if has_label(&object.metadata, OTHER_PROXY)
        || spec.type_.as_deref() == Some("ExternalName")
        || spec
            .cluster_ip
            .as_deref()
            .is_none_or(|ip| ip == "None" || ip.is_empty())
    {
        return None;
    }
    let mut cluster_ips = addresses(spec.cluster_ips.as_deref().unwrap_or_default());
    if cluster_ips.is_empty() {
        cluster_ips = addresses(spec.cluster_ip.as_slice());
    }
    let ranges = spec.load_balancer_source_ranges.iter().flatten();
    Some(Service {
        cluster_ips,
        external_ips: addresses(spec.external_ips.as_deref().unwrap_or_default()),
        load_balancer_ips: load_balancer_ips(object),
        source_ranges: ranges
            .filter_map(|range| range.trim().parse().ok())
            .collect(),
        ports: ports(object),
        affinity_seconds: affinity(object),
        internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
        external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
        health_check_port: health_check_port(spec),
    })
}

/// Only balancers that must know where endpoints are ask.
///
/// Follows NeedsHealthCheck of pkg/api/v1/service/util.go.
fn health_check_port(spec: &ServiceSpec) -> Option<u16> {
    let is_asked = spec.type_.as_deref() == Some("LoadBalancer")
        && spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.filter(|_| is_asked)?;
    number(port)
}

/// A slice, and the name of the Service of its namespace that it belongs to;
/// none if it belongs to none or to a headless one.
pub fn endpoint_slice(object: &ApiSlice) -> Option<(String, EndpointSlice)> {
    let labels = object.metadata.labels.as_ref()?;
    if labels.contains_key(OTHER_PROXY) || labels.contains_key(HEADLESS) {
        return None;
    }
    let service = labels.get(SERVICE_NAME)?.clone();
    let ports = object.ports.iter().flatten().filter_map(|port| {
        Some(SlicePort {
            name: port.name.clone().unwrap_or_default(),
            protocol: protocol(port.protocol.as_deref())?,
            port: number(port.port?)?,
        })
    });
    let slice = EndpointSlice {
        ports: ports.collect(),
        endpoints: object.endpoints.iter().flatten().map(endpoint).collect(),
    };
    Some((service, slice))
}

/// The host ports of a pod with a network of its own that has not ended.
pub fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else {
        return Vec::new();
    };
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if spec.host_network == Some(true) || ended {
        return Vec::new();
    }
    let mut ips = addresses(status.pod_ip.as_slice());
    let all = status.pod_ips.iter().flatten();
    ips.extend(all.filter_map(|ip| ip.ip.parse::<IpAddr>().ok()));
    ips.sort_unstable();
    ips.dedup();
    let restartable = spec.init_containers.iter().flatten();
    let restartable = restartable.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let containers = spec.containers.iter().chain(restartable);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let ports = ports.filter_map(|port| {
        Some((
            number(port.host_port?)?,
            number(port.container_port)?,
            protocol(port.protocol.as_deref())?,
            port.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
        ))
    });
    ports
        .flat_map(|(host_port, container_port, protocol, host_ip)| {
            ips.iter().map(move |pod_ip| HostPort {
                host_ip,
                host_port,
                protocol,
                pod_ip: *pod_ip,
                container_port,
            })
        })
        .collect()
}

fn ports(object: &ApiService) -> Vec<ServicePort> {
    let ports = object
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(ServicePort {
                name: port.name.clone().unwrap_or_default(),
                protocol: protocol(port.protocol.as_deref())?,
                port: number(port.port)?,
                node_port: port.node_port.and_then(number),
            })
        })
        .collect()
}

fn affinity(object: &ApiService) -> Option<u32> {
    let spec = object.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref();
    let client_ip = config.and_then(|config| config.client_ip.as_ref());
    let seconds = client_ip.and_then(|client_ip| client_ip.timeout_seconds);
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    Some(seconds.unwrap_or(AFFINITY_DEFAULT).clamp(1, AFFINITY_MAX))
}

/// Those addresses whose balancer delivers packets as they came; one that
/// sends them to the node as a client of its own needs nothing here.
fn load_balancer_ips(object: &ApiService) -> Vec<IpAddr> {
    let status = object.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
    ingress
        .into_iter()
        .flatten()
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| ingress.ip.as_deref()?.parse().ok())
        .collect()
}

fn endpoint(object: &ApiEndpoint) -> Endpoint {
    let conditions = object.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready);
    let serving = conditions.and_then(|conditions| conditions.serving);
    let terminating = conditions.and_then(|conditions| conditions.terminating);
    let ready = ready.unwrap_or(true);
    let hints = object.hints.as_ref();
    let zones = hints
        .into_iter()
        .flat_map(|hints| hints.for_zones.iter().flatten());
    let nodes = hints
        .into_iter()
        .flat_map(|hints| hints.for_nodes.iter().flatten());
    Endpoint {
        addresses: addresses(&object.addresses),
        node: object.node_name.clone(),
        conditions: Conditions {
            ready,
            serving: serving.unwrap_or(ready),
            terminating: terminating.unwrap_or(false),
        },
        zone_hints: zones.map(|zone| zone.name.clone()).collect(),
        node_hints: nodes.map(|node| node.name.clone()).collect(),
    }
}

fn addresses(texts: &[String]) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn has_label(metadata: &ObjectMeta, label: &str) -> bool {
    let labels = metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(label))
}

#[cfg(test)]
mod tests;
