//! The node's namespace: forwarding, the pods' host ends, addresses on the
//! loopback link, the way to other nodes.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use linux::{
    cidr::Cidr,
    link::{self, Address, Link, Links, Neighbour, Route, Scope, Veth},
    netns::Netns,
};

use crate::{
    error::Error,
    names,
    overlay::{self, OVERHEAD, Peer},
    pod_side,
    podnet::Config,
};

const MTU_DEFAULT: u32 = 1500;
/// The least that IPv4 hosts must take, with room for the way between nodes.
const MTU_MIN: u32 = 576 + OVERHEAD;

/// The node's end of the network.
#[derive(Debug)]
pub(crate) struct NodeSide {
    instance: String,
    pod_cidr: Cidr,
    cluster_cidr: Cidr,
    node_ip: Ipv4Addr,
    netns: Netns,
    links: Links,
}

impl NodeSide {
    pub(crate) fn open(config: &Config, netns: Netns) -> Result<Self, Error> {
        let links = netns.run(Links::open).map_err(netns_failed)?;
        Ok(Self {
            instance: config.instance.clone(),
            pod_cidr: config.pod_cidr,
            cluster_cidr: config.cluster_cidr,
            node_ip: config.node_ip,
            netns,
            links: links.map_err(failed)?,
        })
    }

    /// The same with a socket of its own.
    pub(crate) fn apart(&self) -> Result<Self, Error> {
        let links = self.netns.run(|| (Links::open(), Netns::current()));
        let (links, netns) = links.map_err(netns_failed)?;
        Ok(Self {
            instance: self.instance.clone(),
            netns: netns.map_err(netns_failed)?,
            links: links.map_err(failed)?,
            ..*self
        })
    }

    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Lets packets pass through, and switches the loopback link on.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        self.set("net/ipv4/ip_forward", "1")?;
        let loopback = self.loopback()?;
        if !loopback.up {
            self.links.set_up(loopback.index).map_err(failed)?;
        }
        let addresses = self.links.addresses().map_err(failed)?;
        let own = IpAddr::from(self.node_ip);
        if !addresses.iter().any(|address| address.address == own) {
            return Err(Error::NotOurs { address: own });
        }
        Ok(())
    }

    /// The largest packet for pods, from the link that has the node's address.
    pub(crate) fn pod_mtu(&mut self) -> Result<u32, Error> {
        let addresses = self.links.addresses().map_err(failed)?;
        let links = self.links.links().map_err(failed)?;
        let own = IpAddr::from(self.node_ip);
        let index = addresses.iter().find(|address| address.address == own);
        let link = index.and_then(|found| links.iter().find(|link| link.index == found.link));
        let mtu = link.filter(|link| !link.loopback).map(|link| link.mtu);
        Ok(mtu.unwrap_or(MTU_DEFAULT).max(MTU_MIN) - OVERHEAD)
    }

    /// Makes a pod's links, in place of what may be left of an earlier try.
    pub(crate) fn add_pod(
        &mut self,
        address: Ipv4Addr,
        pod: &str,
        inside: &Netns,
        mtu: u32,
    ) -> Result<(), Error> {
        self.remove_pod(address)?;
        let name = names::pod_link(&self.instance, address);
        self.links
            .add_veth(&Veth {
                name: &name,
                mac: names::gateway_mac(),
                peer_name: pod_side::LINK,
                peer_mac: names::pod_mac(address),
                peer_netns: inside,
                mtu,
            })
            .map_err(failed)?;
        let link = self.link(&name)?;
        let label: String = pod.chars().take(60).collect();
        self.links.set_alias(link.index, &label).map_err(failed)?;
        // Pods cannot speak with addresses that are not theirs; and nothing
        // of IPv6 is to be seen on a link that does not carry it.
        self.set(&format!("net/ipv4/conf/{name}/rp_filter"), "1")?;
        self.let_loopback_pass(&name)?;
        self.set_if_there(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")
    }

    /// Leads a pod's address to its link. Connections that the node begins
    /// carry the node's own address.
    pub(crate) fn route_to_pod(&mut self, address: Ipv4Addr) -> Result<(), Error> {
        let link = self.link(&names::pod_link(&self.instance, address))?;
        let neighbour = Neighbour {
            link: link.index,
            address: address.into(),
            mac: names::pod_mac(address),
        };
        self.links.replace_neighbour(&neighbour).map_err(failed)?;
        self.links
            .replace_route(&Route {
                destination: address.into(),
                prefix: 32,
                link: link.index,
                gateway: None,
                source: Some(self.node_ip.into()),
                metric: 0,
                scope: Scope::LINK,
                onlink: false,
            })
            .map_err(failed)
    }

    /// Removes a pod's links, and with them its route and neighbour.
    pub(crate) fn remove_pod(&mut self, address: Ipv4Addr) -> Result<(), Error> {
        let name = names::pod_link(&self.instance, address);
        match self.links.link(&name).map_err(failed)? {
            Some(link) => remove_link(&mut self.links, &link),
            None => Ok(()),
        }
    }

    pub(crate) fn has_pod(&mut self, address: Ipv4Addr) -> Result<bool, Error> {
        let name = names::pod_link(&self.instance, address);
        Ok(self.links.link(&name).map_err(failed)?.is_some())
    }

    /// The addresses whose links are there.
    pub(crate) fn connected_pods(&mut self) -> Result<Vec<Ipv4Addr>, Error> {
        let prefix = names::prefix(&self.instance);
        let links = self.links.links().map_err(failed)?;
        let addresses = links.iter().filter_map(|link| {
            let digits = link.name.strip_prefix(&prefix)?;
            (digits.len() == 8).then_some(())?;
            u32::from_str_radix(digits, 16).ok().map(Ipv4Addr::from)
        });
        Ok(addresses.collect())
    }

    pub(crate) fn ensure_dns_address(&mut self, address: Ipv4Addr) -> Result<(), Error> {
        let label = names::loopback_label(&self.instance);
        let loopback = self.loopback()?.index;
        let wanted = Address {
            link: loopback,
            address: address.into(),
            prefix: 32,
            scope: Scope::HOST,
            label: Some(label.clone()),
        };
        let present = self.links.addresses().map_err(failed)?;
        let ours = |address: &&Address| address.label.as_ref() == Some(&label);
        for other in present.iter().filter(ours) {
            if other.address != wanted.address {
                self.links.delete_address(other).map_err(failed)?;
            }
        }
        if present.iter().any(|other| other.address == wanted.address) {
            return Ok(());
        }
        self.links.add_address(&wanted).map_err(failed)
    }

    pub(crate) fn ensure_service_route(&mut self, cidr: Cidr) -> Result<(), Error> {
        let route = Route {
            destination: cidr.address,
            prefix: cidr.bits,
            link: self.loopback()?.index,
            gateway: None,
            source: Some(self.node_ip.into()),
            metric: names::loopback_metric(&self.instance),
            scope: Scope::LINK,
            onlink: false,
        };
        // Looked for by the last address, as the first ones may be served on
        // this very node.
        match self.links.source_for(cidr.last()).map_err(failed)? {
            Some(_) => Ok(()),
            None => self.links.replace_route(&route).map_err(failed),
        }
    }

    pub(crate) fn set_peers(&mut self, peers: &[Peer], mtu: u32) -> Result<(), Error> {
        let own = overlay::Own {
            link: names::overlay_link(&self.instance),
            node_ip: self.node_ip,
            pod_cidr: self.pod_cidr,
            cluster_cidr: self.cluster_cidr,
            mtu,
        };
        overlay::set_peers(&mut self.links, &own, peers)?;
        if peers.is_empty() {
            return Ok(());
        }
        self.let_loopback_pass(&own.link)
    }

    /// Lets the node's own connections to its loopback addresses be led to a
    /// pod, which is how node ports answer there. The packet filter's guard
    /// drops what comes from pods with such addresses.
    fn let_loopback_pass(&self, link: &str) -> Result<(), Error> {
        self.set(&format!("net/ipv4/conf/{link}/route_localnet"), "1")
    }

    fn loopback(&mut self) -> Result<Link, Error> {
        let links = self.links.links().map_err(failed)?;
        let loopback = links.into_iter().find(|link| link.loopback);
        loopback.ok_or_else(|| Error::Vanished { link: "lo".into() })
    }

    fn link(&mut self, name: &str) -> Result<Link, Error> {
        let link = self.links.link(name).map_err(failed)?;
        link.ok_or_else(|| Error::Vanished { link: name.into() })
    }

    /// Changes a kernel setting of the node's namespace, unless it is so.
    fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        let path = Path::new("/proc/sys").join(name);
        let result = self.netns.run(|| write_setting(&path, value));
        let error = |source| Error::Setting {
            path: path.clone(),
            value: value.into(),
            source,
        };
        result.map_err(netns_failed)?.map_err(error)
    }

    /// The same for a setting that some kernels do not have.
    fn set_if_there(&self, name: &str, value: &str) -> Result<(), Error> {
        match self.set(name, value) {
            Err(Error::Setting { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(())
            }
            other => other,
        }
    }
}

fn write_setting(path: &PathBuf, value: &str) -> io::Result<()> {
    if fs::read_to_string(path)?.trim() == value {
        return Ok(());
    }
    fs::write(path, value)
}

/// Removes a link; one that goes by itself meanwhile is gone too.
pub(crate) fn remove_link(links: &mut Links, link: &Link) -> Result<(), Error> {
    match links.delete_link(link.index) {
        Err(error) if !error.is_absent() => Err(failed(error)),
        _ => Ok(()),
    }
}

pub(crate) fn failed(source: link::Error) -> Error {
    Error::Link {
        whose: "the node".into(),
        source,
    }
}

pub(crate) fn netns_failed(source: linux::netns::Error) -> Error {
    Error::Netns {
        whose: "the node".into(),
        source,
    }
}
