//! Flows that go to endpoints which no longer answer.
//!
//! The kernel translates a flow once, with its first packet, and a UDP client
//! may go on with the same port for ever. Follows
//! pkg/proxy/conntrack/cleanup.go: only flows to frontends that have another
//! endpoint to go to are forgotten.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use linux::conntrack::Flow;

use crate::{model::Protocol, plan::UdpFrontend};

/// Frontends whose flows are to be looked at.
pub(crate) struct Filter<'a> {
    by_address: HashMap<(IpAddr, u16), &'a Arc<[IpAddr]>>,
    by_port: HashMap<u16, &'a Arc<[IpAddr]>>,
}

impl<'a> Filter<'a> {
    pub(crate) fn new(frontends: &'a [UdpFrontend]) -> Self {
        let mut filter = Self {
            by_address: HashMap::new(),
            by_port: HashMap::new(),
        };
        let live =
            |udp: &&UdpFrontend| udp.frontend.protocol == Protocol::Udp && !udp.serving.is_empty();
        for udp in frontends.iter().filter(live) {
            match udp.frontend.address {
                Some(address) => {
                    let key = (address, udp.frontend.port);
                    filter.by_address.insert(key, &udp.serving);
                }
                None => {
                    filter.by_port.insert(udp.frontend.port, &udp.serving);
                }
            }
        }
        filter
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.by_port.is_empty()
    }

    /// Whether a flow goes to a dead endpoint. `own` are the node's addresses:
    /// a node port is only meant where the node itself is addressed.
    pub(crate) fn is_stale(&self, flow: &Flow, own: &HashSet<IpAddr>) -> bool {
        let (address, port) = (flow.original.destination, flow.original.destination_port);
        let serving = self.by_address.get(&(address, port)).or_else(|| {
            let node_port = self.by_port.get(&port);
            node_port.filter(|_| own.contains(&address))
        });
        serving.is_some_and(|serving| !serving.contains(&flow.reply.source))
    }
}
