//! The addresses that a Service should have. Follows podToEndpoint in
//! staging/src/k8s.io/endpointslice/utils.go.

use crate::pods;
use crate::services;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{Node, Service};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use typed::lean::Pod;

const ZONE: &str = "topology.kubernetes.io/zone";

/// What makes lists of ports the same.
pub(crate) type PortsKey = Vec<(String, String, i32, String)>;
/// What makes endpoints the same: addresses, hostname, and the pod.
pub(crate) type EndpointKey = (Vec<String>, String, String, String);

/// A Service's addresses.
#[derive(Default)]
pub(crate) struct Desired {
    /// Groups with the same ports, by address type.
    pub(crate) families: BTreeMap<&'static str, BTreeMap<PortsKey, Group>>,
    /// Pods that were left out since their nodes do not exist.
    pub(super) missing_nodes: Vec<(String, String)>,
}

/// Endpoints with the same ports.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) ports: Vec<EndpointPort>,
    pub(crate) endpoints: BTreeMap<EndpointKey, Endpoint>,
}

impl Desired {
    pub(super) fn of(
        service: &Service,
        pods: &[Arc<Pod>],
        node: impl Fn(&str) -> Option<Arc<Node>>,
    ) -> Self {
        let mut desired = Self::default();
        for family in families(service) {
            let mut groups: BTreeMap<PortsKey, Group> = BTreeMap::new();
            for pod in pods.iter().filter(|pod| services::is_endpoint(pod, true)) {
                let ports = ports(service, pod);
                let group = groups.entry(ports_key(&ports)).or_default();
                group.ports = ports;
                let node_name = pods::node_name(pod);
                let node = node(node_name);
                if node.is_none() && !services::publishes_not_ready(service) {
                    desired
                        .missing_nodes
                        .push((pod.name().to_owned(), node_name.to_owned()));
                    continue;
                }
                let endpoint = endpoint(service, pod, node.as_deref(), family);
                if !endpoint.addresses.is_empty() {
                    group.endpoints.insert(endpoint_key(&endpoint), endpoint);
                }
            }
            desired.families.insert(family, groups);
        }
        desired
    }
}

/// What makes an endpoint the same when its condition changes.
pub(crate) fn endpoint_key(endpoint: &Endpoint) -> EndpointKey {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    let target = endpoint.target_ref.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    (
        addresses,
        text(endpoint.hostname.as_ref()),
        text(target.and_then(|target| target.namespace.as_ref())),
        text(target.and_then(|target| target.name.as_ref())),
    )
}

/// What makes lists of ports the same, whatever their order.
pub(crate) fn ports_key(ports: &[EndpointPort]) -> PortsKey {
    let key = |port: &EndpointPort| {
        (
            port.name.clone().unwrap_or_default(),
            port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            port.port.unwrap_or(0),
            port.app_protocol.clone().unwrap_or_default(),
        )
    };
    let keys: BTreeSet<_> = ports.iter().map(key).collect();
    keys.into_iter().collect()
}

/// The address types that the Service has. A headless one without families is of both.
fn families(service: &Service) -> Vec<&'static str> {
    let spec = service.spec.as_ref();
    let listed = spec
        .and_then(|spec| spec.ip_families.as_ref())
        .into_iter()
        .flatten();
    let families: BTreeSet<&str> = listed
        .filter_map(|family| ["IPv4", "IPv6"].into_iter().find(|known| known == family))
        .collect();
    if !families.is_empty() {
        return families.into_iter().collect();
    }
    let address = spec
        .and_then(|spec| spec.cluster_ip.as_deref())
        .unwrap_or_default();
    match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => vec!["IPv4"],
        Ok(std::net::IpAddr::V6(_)) => vec!["IPv6"],
        Err(_) => vec!["IPv4", "IPv6"],
    }
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let port = |port: &typed::api::core::v1::ServicePort| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(services::find_port(pod, port)?),
            protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
            app_protocol: port.app_protocol.clone(),
        })
    };
    services::ports_of(service)
        .iter()
        .filter_map(port)
        .collect()
}

fn endpoint(service: &Service, pod: &Pod, node: Option<&Node>, family: &str) -> Endpoint {
    let serving = pods::is_ready(pod);
    let terminating = pod.is_deleting();
    let of_family = services::pod_ips(pod).filter(|ip| ip.is_ipv4() == (family == "IPv4"));
    let node_name = pods::node_name(pod);
    Endpoint {
        addresses: of_family.map(|ip| ip.to_string()).collect(),
        conditions: Some(EndpointConditions {
            // A pod that is ending is not ready, whatever it says, unless that is what is asked for.
            ready: Some(services::publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: services::hostname_in(pod, service).map(str::to_owned),
        node_name: (!node_name.is_empty()).then(|| node_name.to_owned()),
        target_ref: Some(services::target_of(pod)),
        zone: node
            .and_then(|node| node.labels().get(ZONE))
            .filter(|zone| !zone.is_empty())
            .cloned(),
        ..Default::default()
    }
}
