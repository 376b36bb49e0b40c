//! The Endpoints that a Service should have.

use crate::pods;
use crate::services::{self, HEADLESS, TRIGGER_TIME, format_trigger};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Timestamp;
use typed::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service};
use typed::lean::Pod;
use typed::meta::ObjectMeta;
use typed::{Labels, Typed};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const CAPACITY: usize = 1000;

/// Name, number, protocol and application protocol.
type PortKey = (String, i32, String, String);

/// The object to write, if what is there is not what should be.
pub(super) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    current: Option<&Endpoints>,
    trigger: Option<Timestamp>,
) -> Option<Endpoints> {
    let mut subsets = subsets(service, pods);
    let truncated = truncate(&mut subsets);
    let mut endpoints = current.cloned().unwrap_or_else(|| named_as(service));
    endpoints.subsets = (!subsets.is_empty()).then_some(subsets);
    endpoints.metadata.labels = Some(labels(service));
    set(
        &mut endpoints,
        OVER_CAPACITY,
        truncated.then(|| "truncated".to_owned()),
    );
    if current == Some(&endpoints) {
        return None;
    }
    set(&mut endpoints, TRIGGER_TIME, trigger.map(format_trigger));
    Some(endpoints)
}

fn named_as(service: &Service) -> Endpoints {
    let metadata = ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        ..Default::default()
    };
    Endpoints {
        metadata,
        subsets: None,
    }
}

fn labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    if services::is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn set(endpoints: &mut Endpoints, annotation: &str, value: Option<String>) {
    let annotations = endpoints.metadata.annotations.take().unwrap_or_default();
    let mut annotations: Labels = annotations
        .into_iter()
        .filter(|(name, _)| name != annotation)
        .collect();
    annotations.extend(value.map(|value| (annotation.to_owned(), value)));
    endpoints.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
}

/// Addresses with the same ports together, in a fixed order, as upstream's RepackSubsets leaves
/// them.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let publishes_not_ready = services::publishes_not_ready(service);
    let mut groups: BTreeMap<Vec<PortKey>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> =
        BTreeMap::new();
    for pod in pods
        .iter()
        .filter(|pod| services::is_endpoint(pod, publishes_not_ready))
    {
        let Some(address) = address(service, pod) else {
            continue;
        };
        let ports = ports(service, pod);
        let may_lack_ports =
            services::ports_of(service).is_empty() && services::is_headless(service);
        if ports.is_empty() && !may_lack_ports {
            continue;
        }
        let (ready, not_ready) = groups.entry(ports).or_default();
        let group = if publishes_not_ready || pods::is_ready(pod) {
            ready
        } else {
            not_ready
        };
        group.push(address);
    }
    groups
        .into_iter()
        .map(|(ports, (ready, not_ready))| subset(ports, ready, not_ready))
        .collect()
}

fn subset(
    ports: Vec<PortKey>,
    ready: Vec<EndpointAddress>,
    not_ready: Vec<EndpointAddress>,
) -> EndpointSubset {
    let sorted = |mut addresses: Vec<EndpointAddress>| {
        let uid = |address: &EndpointAddress| {
            address
                .target_ref
                .as_ref()
                .and_then(|target| target.uid.clone())
        };
        addresses.sort_by(|one, two| one.ip.cmp(&two.ip).then_with(|| uid(one).cmp(&uid(two))));
        (!addresses.is_empty()).then_some(addresses)
    };
    let port = |(name, port, protocol, app_protocol): PortKey| EndpointPort {
        name: (!name.is_empty()).then_some(name),
        port,
        protocol: Some(protocol),
        app_protocol: (!app_protocol.is_empty()).then_some(app_protocol),
    };
    let ports: Vec<_> = ports.into_iter().map(port).collect();
    EndpointSubset {
        addresses: sorted(ready),
        not_ready_addresses: sorted(not_ready),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

fn ports(service: &Service, pod: &Pod) -> Vec<PortKey> {
    let key = |port: &typed::api::core::v1::ServicePort| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let number = services::find_port(pod, port)?;
        Some((
            port.name.clone().unwrap_or_default(),
            number,
            protocol,
            port.app_protocol.clone().unwrap_or_default(),
        ))
    };
    let mut ports: Vec<_> = services::ports_of(service).iter().filter_map(key).collect();
    ports.sort();
    ports
}

/// The pod's address of the Service's first family.
fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let spec = service.spec.as_ref();
    let family = spec.and_then(|spec| spec.ip_families.as_ref()?.first().cloned());
    let own = spec.and_then(|spec| spec.cluster_ip.as_ref()?.parse::<std::net::IpAddr>().ok());
    let is_v6 = match (family.as_deref(), own) {
        (Some(family), _) => family == "IPv6",
        (None, Some(own)) => own.is_ipv6(),
        (None, None) => services::pod_ips(pod).next()?.is_ipv6(),
    };
    let ip = services::pod_ips(pod).find(|ip| ip.is_ipv6() == is_v6)?;
    Some(EndpointAddress {
        ip: ip.to_string(),
        hostname: services::hostname_in(pod, service).map(str::to_owned),
        node_name: Some(pods::node_name(pod).to_owned()).filter(|name| !name.is_empty()),
        target_ref: Some(services::target_of(pod)),
    })
}

/// Cuts at the capacity, each subset in proportion; what is not ready goes first. Returns whether
/// something was cut.
fn truncate(subsets: &mut [EndpointSubset]) -> bool {
    let len = |addresses: &Option<Vec<EndpointAddress>>| addresses.as_ref().map_or(0, Vec::len);
    let ready: usize = subsets.iter().map(|subset| len(&subset.addresses)).sum();
    let not_ready: usize = subsets
        .iter()
        .map(|subset| len(&subset.not_ready_addresses))
        .sum();
    if ready + not_ready <= CAPACITY {
        return false;
    }
    let cuts_ready = ready > CAPACITY;
    let (room, total) = if cuts_ready {
        (CAPACITY, ready)
    } else {
        (CAPACITY - ready, not_ready)
    };
    let mut left = room;
    for subset in subsets {
        if cuts_ready {
            subset.not_ready_addresses = None;
        }
        let addresses = if cuts_ready {
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        let part = (len(addresses) * room).div_ceil(total).min(left);
        if let Some(addresses) = addresses {
            addresses.truncate(part);
        }
        *addresses = addresses.take().filter(|addresses| !addresses.is_empty());
        left -= part;
    }
    true
}
