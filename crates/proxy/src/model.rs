//! What the proxy knows: the fields of Services, EndpointSlices and pods that
//! routing depends on, and the facts of this node.

use std::{fmt, net::IpAddr, sync::Arc};

pub use linux::cidr::Cidr;

/// Whose entries these are. Of two owners that claim the same address and
/// port, the first by this order has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A Service, by `namespace/name`.
    Service(Arc<str>),
    /// The host ports of a pod, by `namespace/name`.
    Pod(Arc<str>),
}

/// A transport protocol that Services can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Transmission control.
    Tcp,
    /// Datagrams.
    Udp,
    /// Stream control.
    Sctp,
}

/// A Service. Headless and ExternalName Services have no addresses and no
/// node ports, so nothing follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its addresses inside the cluster.
    pub cluster_ips: Vec<IpAddr>,
    /// Addresses outside that are routed to nodes.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of load balancers that deliver packets as they came.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Who may use the load balancers' addresses; all if empty.
    pub source_ranges: Vec<Cidr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// How long a client stays with an endpoint, in seconds; none without
    /// affinity.
    pub affinity_seconds: Option<u32>,
    /// Whether traffic inside the cluster stays on the node.
    pub internal_local: bool,
    /// Whether traffic from outside stays on the node.
    pub external_local: bool,
    /// Where load balancers ask whether the node has endpoints of it.
    pub health_check_port: Option<u16>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, or empty.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where clients find it.
    pub port: u16,
    /// Where clients find it on every node, or none.
    pub node_port: Option<u16>,
}

/// A slice of a Service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The ports that its endpoints have.
    pub ports: Vec<SlicePort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// A port that all endpoints of a slice have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// The Service port's name that it is for, or empty.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its addresses, any of which will do.
    pub addresses: Vec<IpAddr>,
    /// The node it is on, if known.
    pub node: Option<String>,
    /// Its health.
    pub conditions: Conditions,
    /// The zones that are to use it; empty without such hints.
    pub zone_hints: Vec<String>,
    /// The nodes that are to use it; empty without such hints.
    pub node_hints: Vec<String>,
}

/// The health of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// It takes new connections (or the Service wants it whether or not).
    pub ready: bool,
    /// It answers.
    pub serving: bool,
    /// It is going.
    pub terminating: bool,
}

/// A port of a pod on its node's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The address, or all of the node.
    pub host_ip: Option<IpAddr>,
    /// The port on the node.
    pub host_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The pod's address.
    pub pod_ip: IpAddr,
    /// The pod's port.
    pub container_port: u16,
}

/// What is true of this node, for as long as the proxy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The node's name.
    pub node: String,
    /// The node's zone, or none.
    pub zone: Option<String>,
    /// Whether this is about IPv6; a dual-stack node has two proxies.
    pub ipv6: bool,
    /// Where pods' addresses come from. Traffic from elsewhere is masqueraded
    /// when it goes to a Service's own address.
    pub cluster_cidrs: Vec<Cidr>,
    /// Where Services' addresses come from. Traffic to one that no Service has
    /// is dropped here rather than sent out of the node.
    pub service_cidrs: Vec<Cidr>,
    /// Addresses that are served on the node itself, as cluster DNS is, and
    /// are never translated although a Service names them.
    pub exempt: Vec<IpAddr>,
    /// How the names of the pods' links on this node begin, and the source
    /// address for masqueraded traffic to them. Without it the kernel chooses.
    pub pod_links: Option<(String, IpAddr)>,
    /// Whether node ports answer on IPv4 loopback addresses too. The links to
    /// endpoints must then let packets with such addresses pass, and guard
    /// against those that come from outside.
    pub loopback: bool,
}

#[cfg(test)]
impl Facts {
    /// Of a node that is called `here` and has nothing special, for tests.
    pub(crate) fn here() -> Self {
        Facts {
            node: "here".into(),
            zone: None,
            ipv6: false,
            cluster_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            exempt: Vec::new(),
            pod_links: None,
            loopback: false,
        }
    }
}

/// What clients address: an address and port, or a port on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frontend {
    /// The protocol.
    pub protocol: Protocol,
    /// The address; none means every address of the node.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Protocol {
    /// Its number in IP headers.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| protocol.number() == number)
    }
}

impl Conditions {
    /// A healthy endpoint.
    pub const READY: Self = Self {
        ready: true,
        serving: true,
        terminating: false,
    };
}

impl Facts {
    /// Whether an address is of the family that this proxy handles.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.ipv6
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name}"),
            Self::Pod(name) => write!(f, "pod {name}"),
        }
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} {address} {}", self.protocol, self.port),
            None => write!(f, "{} node {}", self.protocol, self.port),
        }
    }
}
