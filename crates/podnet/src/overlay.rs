//! The way to the pods of other nodes: a vxlan link over which each node
//! routes the others' ranges.
//!
//! Nothing is learned and nobody is asked: a node's hardware address on that
//! link follows from its address, so routes, neighbours and forwarding entries
//! are all fixed. The node itself appears there under the first address of its
//! range, so that answers to it come back the same way.

use std::net::{IpAddr, Ipv4Addr};

use linux::{
    cidr::Cidr,
    link::{Address, Link, Links, Neighbour, Route, Scope, Vxlan},
};

use crate::{
    error::Error,
    names::{hash, node_mac},
    node_side::{failed, remove_link},
};

/// What the way to other nodes adds to a packet.
pub(crate) const OVERHEAD: u32 = 50;
/// The port that other networks of this kind use too.
const PORT: u16 = 8472;

/// Another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Its address.
    pub node_ip: Ipv4Addr,
    /// The addresses of its pods.
    pub pod_cidr: Cidr,
}

/// This node.
pub(crate) struct Own {
    pub(crate) link: String,
    pub(crate) node_ip: Ipv4Addr,
    pub(crate) pod_cidr: Cidr,
    pub(crate) cluster_cidr: Cidr,
    pub(crate) mtu: u32,
}

/// Makes the routes those to these nodes, and no others. Without any the link
/// goes.
pub(crate) fn set_peers(links: &mut Links, own: &Own, peers: &[Peer]) -> Result<(), Error> {
    let existing = links.link(&own.link).map_err(failed)?;
    if peers.is_empty() {
        return existing.map_or(Ok(()), |link| remove_link(links, &link));
    }
    let link = match existing {
        Some(link) => link,
        None => make(links, own)?,
    };
    for peer in peers {
        add(links, own, &link, peer)?;
    }
    remove_others(links, &link, peers)
}

fn make(links: &mut Links, own: &Own) -> Result<Link, Error> {
    links
        .add_vxlan(&Vxlan {
            name: &own.link,
            mac: node_mac(own.node_ip),
            id: network_id(own.cluster_cidr),
            local: own.node_ip,
            port: PORT,
            mtu: own.mtu,
        })
        .map_err(failed)?;
    let link = links.link(&own.link).map_err(failed)?;
    let link = link.ok_or_else(|| Error::Vanished {
        link: own.link.clone(),
    })?;
    let address = Address {
        link: link.index,
        address: own.pod_cidr.address,
        prefix: 32,
        scope: Scope::UNIVERSE,
        label: None,
    };
    match links.add_address(&address) {
        Err(error) if !error.is_present() => Err(failed(error)),
        _ => Ok(link),
    }
}

fn add(links: &mut Links, own: &Own, link: &Link, peer: &Peer) -> Result<(), Error> {
    let [forwarding, neighbour] = entries(link, peer);
    links.replace_forwarding(&forwarding).map_err(failed)?;
    links.replace_neighbour(&neighbour).map_err(failed)?;
    let route = route(link, peer, Some(own.pod_cidr.address));
    links.replace_route(&route).map_err(failed)
}

fn remove_others(links: &mut Links, link: &Link, peers: &[Peer]) -> Result<(), Error> {
    let routes = links.routes().map_err(failed)?;
    let wanted = |route: &Route| peers.iter().any(|peer| peer.pod_cidr == cidr_of(route));
    let ours = |route: &&Route| route.link == link.index && route.gateway.is_some();
    for route in routes.iter().filter(ours).filter(|route| !wanted(route)) {
        links.delete_route(route).map_err(failed)?;
        if let (Some(address), Some(mac)) = (route.gateway, link.mac) {
            let gone = Neighbour {
                link: link.index,
                address,
                mac,
            };
            ignore_absent(links.delete_neighbour(&gone))?;
        }
    }
    for entry in links.forwardings(link.index).map_err(failed)? {
        let known = peers
            .iter()
            .any(|peer| IpAddr::from(peer.node_ip) == entry.address);
        if !known {
            ignore_absent(links.delete_forwarding(&entry))?;
        }
    }
    Ok(())
}

fn ignore_absent(result: Result<(), linux::link::Error>) -> Result<(), Error> {
    match result {
        Err(error) if !error.is_absent() => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Where frames for a peer go, and who it is on the link.
fn entries(link: &Link, peer: &Peer) -> [Neighbour; 2] {
    let mac = node_mac(peer.node_ip);
    [peer.node_ip.into(), peer.pod_cidr.address].map(|address| Neighbour {
        link: link.index,
        address,
        mac,
    })
}

fn route(link: &Link, peer: &Peer, source: Option<IpAddr>) -> Route {
    Route {
        destination: peer.pod_cidr.address,
        prefix: peer.pod_cidr.bits,
        link: link.index,
        gateway: Some(peer.pod_cidr.address),
        source,
        metric: 0,
        scope: Scope::UNIVERSE,
        onlink: true,
    }
}

fn cidr_of(route: &Route) -> Cidr {
    Cidr {
        address: route.destination,
        bits: route.prefix,
    }
}

/// The network's number: the same on all nodes of a cluster, and another for
/// another cluster between the same nodes.
fn network_id(cluster_cidr: Cidr) -> u32 {
    (hash(cluster_cidr.to_string().as_bytes()) & 0x00ff_ffff).max(1)
}
