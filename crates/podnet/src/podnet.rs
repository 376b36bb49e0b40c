//! A node's pods and their network.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use linux::{cidr::Cidr, link::Mac, netns::Netns};
use tracing::debug;

use crate::{
    addresses::Addresses, error::Error, names, node_side::NodeSide, overlay::Peer, pod_side, table,
};

/// What a node's pod network is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name on this machine.
    pub instance: String,
    /// Where the addresses of this node's pods come from.
    pub pod_cidr: Cidr,
    /// Where the addresses of all pods come from.
    pub cluster_cidr: Cidr,
    /// The node's own address, which pods see when the node talks to them.
    pub node_ip: Ipv4Addr,
    /// Where given addresses are recorded.
    pub state_dir: PathBuf,
    /// The largest packet; by default what the node's link takes, less what
    /// the way to other nodes adds.
    pub mtu: Option<u32>,
}

/// The pod network of one node. Calls may come from several threads.
#[derive(Debug)]
pub struct Podnet {
    config: Config,
    mtu: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: NodeSide,
    addresses: Addresses,
}

/// A pod's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddress {
    /// Its address.
    pub ip: IpAddr,
    /// Where it sends everything.
    pub gateway: IpAddr,
    /// Its hardware address.
    pub mac: Mac,
    /// The node's end of its links.
    pub host_if: String,
}

/// What became of the pods that an earlier run knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Those that live and are connected.
    pub kept: BTreeMap<String, PodAddress>,
    /// Those that live but lost their network: their sandboxes must be made
    /// anew. Their addresses are free again.
    pub broken: Vec<String>,
    /// Those that were known and live no more: their addresses are free.
    pub removed: Vec<String>,
}

impl Podnet {
    /// Prepares a node for pods: forwarding, the packet filter, the record of
    /// addresses. `node` is the node's network namespace. Pods of an earlier
    /// run stay connected; see [`Podnet::adopt`].
    pub fn open(config: Config, node: Netns) -> Result<Self, Error> {
        let dir = config.state_dir.join("addresses");
        let addresses = Addresses::open(dir, config.pod_cidr)?;
        let mut node = NodeSide::open(&config, node)?;
        let mtu = match config.mtu {
            Some(mtu) => mtu,
            None => node.pod_mtu()?,
        };
        node.prepare()?;
        table::install(&config, node.netns())?;
        Ok(Self {
            config,
            mtu,
            inner: Mutex::new(Inner { node, addresses }),
        })
    }

    /// Connects a pod: `netns` is the path of its network namespace, `pod` the
    /// name of its sandbox. A pod that is connected already keeps what it has.
    pub fn attach(&self, pod: &str, netns: &Path) -> Result<PodAddress, Error> {
        let inside = Netns::open(netns).map_err(|source| Error::Netns {
            whose: pod.into(),
            source,
        })?;
        let address = self.lock().addresses.give(pod)?;
        let place = self.place(address);
        if self.is_connected(address, &inside, pod)? {
            return Ok(place);
        }
        let connected = self.connect(pod, address, &inside);
        if let Err(error) = connected {
            // The address stays with the pod: the next attempt uses it again.
            let _ = self.lock().node.remove_pod(address);
            return Err(error);
        }
        debug!(pod, %address, link = place.host_if, "connected a pod");
        Ok(place)
    }

    /// Disconnects a pod and takes its address back. A pod that is not
    /// connected is fine.
    pub fn detach(&self, pod: &str) -> Result<(), Error> {
        let Some(address) = self.lock().addresses.of(pod) else {
            return Ok(());
        };
        // The kernel makes who removes a link wait until nobody can be using
        // it, some milliseconds. Others need not wait for that.
        let mut apart = self.lock().node.apart()?;
        apart.remove_pod(address)?;
        self.lock().addresses.take_back(pod)?;
        debug!(pod, %address, "disconnected a pod");
        Ok(())
    }

    /// The place of a pod, if it has one.
    pub fn address(&self, pod: &str) -> Option<PodAddress> {
        let address = self.lock().addresses.of(pod)?;
        Some(self.place(address))
    }

    /// Compares what an earlier run left with the sandboxes that live, and
    /// frees the rest: addresses, links, routes.
    pub fn adopt<'a>(&self, live: impl IntoIterator<Item = &'a str>) -> Result<Adoption, Error> {
        let live: Vec<&str> = live.into_iter().collect();
        let mut adoption = Adoption::default();
        let mut inner = self.lock();
        let connected = inner.node.connected_pods()?;
        for pod in inner.addresses.pods() {
            let Some(address) = inner.addresses.of(&pod) else {
                continue;
            };
            if !live.contains(&&*pod) {
                inner.node.remove_pod(address)?;
                inner.addresses.take_back(&pod)?;
                adoption.removed.push(pod);
            } else if connected.contains(&address) {
                inner.node.route_to_pod(address)?;
                adoption.kept.insert(pod, self.place(address));
            } else {
                inner.addresses.take_back(&pod)?;
                adoption.broken.push(pod);
            }
        }
        let known: Vec<Ipv4Addr> = inner
            .addresses
            .pods()
            .iter()
            .filter_map(|pod| inner.addresses.of(pod))
            .collect();
        for address in connected.iter().filter(|address| !known.contains(address)) {
            inner.node.remove_pod(*address)?;
        }
        for pod in live {
            if !adoption.kept.contains_key(pod) && !adoption.broken.iter().any(|b| b == pod) {
                adoption.broken.push(pod.into());
            }
        }
        Ok(adoption)
    }

    /// Puts the cluster DNS address on the node's loopback link, where the
    /// DNS server listens, and takes away another one that an earlier run put
    /// there. Its reach is this machine, so that it is never chosen as the
    /// source of packets that leave.
    pub fn ensure_dns_address(&self, address: Ipv4Addr) -> Result<(), Error> {
        self.lock().node.ensure_dns_address(address)
    }

    /// Makes sure that the node finds a way to the Services' addresses, which
    /// it needs to begin a connection although they are translated. Where
    /// there is a default route nothing is to be done.
    pub fn ensure_service_route(&self, service_cidr: Cidr) -> Result<(), Error> {
        self.lock().node.ensure_service_route(service_cidr)
    }

    /// Says which other nodes there are, and which pods behind them.
    pub fn set_peers(&self, peers: &[Peer]) -> Result<(), Error> {
        self.lock().node.set_peers(peers, self.mtu)
    }

    /// A base chain of somebody else that drops forwarded packets unless one
    /// of its rules accepts them: pods may be cut off from each other.
    pub fn forwarding_obstacle(&self) -> Result<Option<String>, Error> {
        table::forwarding_obstacle(self.lock().node.netns())
    }

    /// How the names of the pods' links on this node begin.
    pub fn link_prefix(&self) -> String {
        names::prefix(&self.config.instance)
    }

    /// The largest packet that pods may send.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Whether a link of that address is there and leads into this namespace.
    fn is_connected(&self, address: Ipv4Addr, inside: &Netns, pod: &str) -> Result<bool, Error> {
        if !self.lock().node.has_pod(address)? {
            return Ok(false);
        }
        pod_side::is_set_up(inside, address, pod)
    }

    fn connect(&self, pod: &str, address: Ipv4Addr, inside: &Netns) -> Result<(), Error> {
        self.lock().node.add_pod(address, pod, inside, self.mtu)?;
        pod_side::set_up(inside, address, pod)?;
        self.lock().node.route_to_pod(address)
    }

    fn place(&self, address: Ipv4Addr) -> PodAddress {
        PodAddress {
            ip: address.into(),
            gateway: names::GATEWAY.into(),
            mac: names::pod_mac(address),
            host_if: names::pod_link(&self.config.instance, address),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
