//! What the answers are made from: services, their endpoints, namespaces.

use std::{net::IpAddr, sync::Arc};

/// A Service, as far as names go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Addresses outside the cluster that lead to it.
    pub external_ips: Vec<IpAddr>,
}

/// How a Service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By addresses of its own; there are none before they are allocated.
    Cluster(Vec<IpAddr>),
    /// By the addresses of its endpoints.
    Headless,
    /// By another name.
    External(String),
}

impl Default for Reach {
    fn default() -> Self {
        Self::Cluster(Vec::new())
    }
}

/// A port of a Service or of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, possibly empty.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Its number.
    pub number: u16,
}

/// An EndpointSlice of a Service: endpoints that are ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The namespace.
    pub namespace: String,
    /// The slice's name.
    pub name: String,
    /// The Service's name.
    pub service: String,
    /// The ready endpoints' addresses with the hostnames that they claim.
    pub endpoints: Vec<(IpAddr, Option<String>)>,
    /// The ports of all of them.
    pub ports: Vec<Port>,
}

/// A ready endpoint of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its label below the Service's name.
    pub hostname: String,
    /// Its ports.
    pub ports: Arc<[Port]>,
}

/// Looks up what names mean. Names are in lower case.
pub trait Directory: Send + Sync {
    /// Whether everything there is has been seen; before, that a name is
    /// missing says nothing.
    fn synced(&self) -> bool;

    /// A number that grows with each change.
    fn serial(&self) -> u32;

    /// Whether there is such a namespace.
    fn namespace(&self, name: &str) -> bool;

    /// A Service.
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>>;

    /// A Service's ready endpoints.
    fn endpoints(&self, namespace: &str, name: &str) -> Arc<[Endpoint]>;

    /// The Service that has this address.
    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>>;

    /// The endpoints that have this address, as `hostname.service.namespace`.
    fn endpoints_at(&self, address: IpAddr) -> Vec<String>;
}

/// The label of an endpoint: the hostname that it claims, or its address with
/// dashes.
pub(crate) fn hostname(address: IpAddr, claimed: Option<&str>) -> String {
    match claimed {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => address.to_string().replace(['.', ':'], "-"),
    }
}
