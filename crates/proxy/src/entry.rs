//! Entries: the elements of the ruleset's maps, as values that print.

use std::{fmt, net::IpAddr};

use crate::model::{Cidr, Frontend, Protocol};

/// The maps and sets whose elements follow from Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Map {
    /// (protocol, address, port) → target.
    Services,
    /// The same as traffic from outside the cluster sees it, where different.
    ServicesLocal,
    /// (protocol, port) on any address of the node → target.
    NodePorts,
    /// The same as traffic from outside the cluster sees it, where different.
    NodePortsLocal,
    /// (number, group) → endpoint.
    Endpoints,
    /// (number, group) → member, in groups with affinity.
    Picks,
    /// (member, group) → endpoint, in groups with affinity.
    Members,
    /// Addresses at which nothing but Services may answer.
    ClusterIps,
    /// Endpoints that may reach themselves through a Service.
    Hairpins,
    /// (protocol, address, port) with limited sources.
    Restricted,
    /// (protocol, address, port, source) that is allowed.
    Allowed,
}

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// What clients address.
    Frontend(Frontend),
    /// A number or member of a group.
    Slot {
        /// The number or member.
        slot: u32,
        /// The group.
        group: u32,
    },
    /// An address.
    Address(IpAddr),
    /// A source that may use a frontend.
    Source(Frontend, Cidr),
}

/// The value of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// A set's element has none.
    None,
    /// Where a frontend leads.
    Target {
        /// The group of endpoints.
        group: u32,
        /// How many there are, and how they are chosen.
        shape: Shape,
        /// Whose source address is masqueraded.
        masquerade: Masquerade,
    },
    /// An endpoint.
    Endpoint(IpAddr, u16),
    /// A member of a group.
    Member(u32),
}

/// How a group's endpoint is chosen; all groups of a shape share a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// There is no endpoint anywhere: refuse, so that clients need not wait.
    Refuse,
    /// There is none that the traffic policy allows: drop, so that others may
    /// take the packet.
    Drop,
    /// One of so many, at random.
    Any {
        /// How many endpoints there are.
        count: u32,
    },
    /// The one that the client had before, else one at random.
    Sticky {
        /// How many endpoints there are.
        count: u32,
        /// For how many seconds after its last connection a client is
        /// remembered.
        seconds: u32,
    },
}

/// Which connections to a frontend leave with this node's address as source,
/// so that the answers come back here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Masquerade {
    /// Those that come from outside the cluster.
    Outside,
    /// All.
    All,
    /// Those that this machine makes.
    Host,
}

/// An element of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// The map.
    pub map: Map,
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Value,
}

/// Endpoints of one group that are counted; more are not used. A number must
/// fit beside the affinity timeout of at most a day.
pub(crate) const GROUP_MAX: usize = (1 << COUNT_BITS) - 1;
const COUNT_BITS: u32 = 15;

impl Map {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Services,
        Self::ServicesLocal,
        Self::NodePorts,
        Self::NodePortsLocal,
        Self::Endpoints,
        Self::Picks,
        Self::Members,
        Self::ClusterIps,
        Self::Hairpins,
        Self::Restricted,
        Self::Allowed,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::ServicesLocal => "services-local",
            Self::NodePorts => "node-ports",
            Self::NodePortsLocal => "node-ports-local",
            Self::Endpoints => "endpoints",
            Self::Picks => "picks",
            Self::Members => "members",
            Self::ClusterIps => "cluster-ips",
            Self::Hairpins => "hairpins",
            Self::Restricted => "restricted",
            Self::Allowed => "allowed",
        }
    }
}

impl Shape {
    /// As one word of a map's value.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Refuse => 0,
            Self::Drop => 1 << COUNT_BITS,
            Self::Any { count } => count,
            Self::Sticky { count, seconds } => (seconds << COUNT_BITS) | count,
        }
    }

    pub(crate) fn from_number(number: u32) -> Self {
        let count = number & ((1 << COUNT_BITS) - 1);
        match (count, number >> COUNT_BITS) {
            (0, 0) => Self::Refuse,
            (0, _) => Self::Drop,
            (count, 0) => Self::Any { count },
            (count, seconds) => Self::Sticky { count, seconds },
        }
    }

    /// How many endpoints there are.
    pub fn count(self) -> u32 {
        match self {
            Self::Refuse | Self::Drop => 0,
            Self::Any { count } | Self::Sticky { count, .. } => count,
        }
    }
}

impl Masquerade {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::All => 1,
            Self::Outside => 2,
            Self::Host => 3,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Self::All, Self::Outside, Self::Host]
            .into_iter()
            .find(|masquerade| masquerade.number() == number)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.map.name(), self.key)?;
        match self.value {
            Value::None => Ok(()),
            value => write!(f, " -> {value}"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frontend(frontend) => write!(f, "{frontend}"),
            Self::Slot { slot, group } => write!(f, "{slot} of group {group:08x}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Source(frontend, source) => write!(f, "{frontend} from {source}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Target {
                group,
                shape,
                masquerade,
            } => write!(f, "{shape} in group {group:08x}, masquerade {masquerade}"),
            Self::Endpoint(address, port) => write!(f, "{address} {port}"),
            Self::Member(member) => write!(f, "member {member:08x}"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("refuse"),
            Self::Drop => f.write_str("drop"),
            Self::Any { count } => write!(f, "any of {count}"),
            Self::Sticky { count, seconds } => write!(f, "sticky {seconds}s of {count}"),
        }
    }
}

impl fmt::Display for Masquerade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside",
            Self::All => "all",
            Self::Host => "host",
        })
    }
}

/// A frontend at an address.
pub(crate) fn at(protocol: Protocol, address: IpAddr, port: u16) -> Key {
    Key::Frontend(Frontend {
        protocol,
        address: Some(address),
        port,
    })
}

/// A frontend on every address of the node.
pub(crate) fn on_node(protocol: Protocol, port: u16) -> Key {
    Key::Frontend(Frontend {
        protocol,
        address: None,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn shapes_are_numbers() {
        for shape in [
            Shape::Refuse,
            Shape::Drop,
            Shape::Any { count: 3 },
            Shape::Sticky {
                count: 32767,
                seconds: 86400,
            },
        ] {
            assert_eq!(Shape::from_number(shape.number()), shape);
        }
    }
}
