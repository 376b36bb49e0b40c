//! The pod network: links, addresses and routes of the node and its pods.
//!
//! A pod gets a pair of links. Its end is `eth0` with one address of the
//! node's range and nothing else on the wire: the way out is a link-local
//! gateway that exists only as a fixed neighbour entry. The node's end has no
//! address; the node routes the pod's single address to it. There is no
//! bridge, so nothing depends on bridge filtering, and no program runs in
//! between: everything is a handful of netlink requests.
//!
//! Traffic from pods to outside the cluster is masqueraded by a table of our
//! own, `tiphys-INSTANCE-pods`. A host whose own packet filter drops forwarded
//! packets by default must be told to let them pass, as an "accept" of ours
//! cannot overrule another table's "drop": [`Podnet::forwarding_obstacle`]
//! names such a table.
//!
//! Everything carries the instance in its name, so that several clusters can
//! share a machine and [`reset`] removes one of them. All calls are
//! synchronous and take about a millisecond; an async caller runs them where
//! blocking is allowed.

mod addresses;
mod error;
mod names;
mod node_address;
mod node_side;
mod overlay;
mod pod_side;
mod podnet;
mod reset;
mod table;

pub use error::Error;
pub use linux::cidr::Cidr;
pub use node_address::node_address;
pub use overlay::Peer;
pub use podnet::{Adoption, Config, PodAddress, Podnet};
pub use reset::reset;

/// How the names of an instance's links begin: for the proxy, which treats
/// traffic to them apart.
pub fn link_prefix(instance: &str) -> String {
    names::prefix(instance)
}
