//! Which endpoints answer: joins slices to a Service's port and applies
//! health, traffic policy and topology.
//!
//! Follows pkg/proxy/topology.go.

use std::net::IpAddr;

use crate::model::{Conditions, EndpointSlice, Facts, ServicePort};

/// An endpoint of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend<'a> {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) conditions: Conditions,
    /// It is on this node.
    pub(crate) local: bool,
    /// No slice says where it is.
    pub(crate) placeless: bool,
    zone_hints: &'a [String],
    node_hints: &'a [String],
}

/// The endpoints that traffic may go to, by scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usable {
    /// Of the whole cluster.
    pub(crate) cluster: Vec<(IpAddr, u16)>,
    /// Of this node.
    pub(crate) local: Vec<(IpAddr, u16)>,
    /// Whether there is any in the whole cluster.
    pub(crate) any: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Anywhere,
    SameZone,
    SameNode,
}

/// The endpoints of a port, each once, in the order of their addresses. Of two
/// slices that know the same endpoint, a healthy word wins.
pub(crate) fn of_port<'a>(
    port: &ServicePort,
    slices: &'a [EndpointSlice],
    facts: &Facts,
) -> Vec<Backend<'a>> {
    let mut backends: Vec<Backend<'a>> = slices
        .iter()
        .flat_map(|slice| of_slice(port, slice, facts))
        .collect();
    backends.sort_by(|a, b| {
        let health = |backend: &Backend<'_>| !backend.conditions.ready;
        (a.address, a.port, health(a)).cmp(&(b.address, b.port, health(b)))
    });
    backends.dedup_by_key(|backend| (backend.address, backend.port));
    backends
}

/// Applies health, policy and topology.
pub(crate) fn usable(backends: &[Backend<'_>], facts: &Facts) -> Usable {
    let topology = topology(backends, facts);
    let cluster = ready_else_serving(backends, |backend| {
        fits(backend, topology, facts) || !backend.conditions.ready
    });
    let local = ready_else_serving(backends, |backend| backend.local);
    let any = !cluster.is_empty() || !local.is_empty();
    Usable {
        cluster,
        local,
        any,
    }
}

fn of_slice<'a>(
    port: &ServicePort,
    slice: &'a EndpointSlice,
    facts: &Facts,
) -> impl Iterator<Item = Backend<'a>> {
    let found = slice
        .ports
        .iter()
        .find(|candidate| candidate.name == port.name && candidate.protocol == port.protocol)
        .map(|candidate| candidate.port);
    let node = facts.node.clone();
    let ipv6 = facts.ipv6;
    slice.endpoints.iter().filter_map(move |endpoint| {
        let address = *endpoint.addresses.first()?;
        (address.is_ipv6() == ipv6).then_some(Backend {
            address,
            port: found?,
            conditions: endpoint.conditions,
            local: endpoint.node.as_deref() == Some(&*node),
            placeless: endpoint.node.is_none(),
            zone_hints: &endpoint.zone_hints,
            node_hints: &endpoint.node_hints,
        })
    })
}

/// The ready ones; without any, those that go but still answer.
fn ready_else_serving(
    backends: &[Backend<'_>],
    allowed: impl Fn(&Backend<'_>) -> bool,
) -> Vec<(IpAddr, u16)> {
    let pick = |wanted: fn(&Conditions) -> bool| -> Vec<(IpAddr, u16)> {
        backends
            .iter()
            .filter(|backend| wanted(&backend.conditions) && allowed(backend))
            .map(|backend| (backend.address, backend.port))
            .collect()
    };
    let ready = pick(|conditions| conditions.ready);
    if ready.is_empty() {
        pick(|conditions| conditions.serving && conditions.terminating)
    } else {
        ready
    }
}

/// Hints count only if every ready endpoint has them and one is for us.
fn topology(backends: &[Backend<'_>], facts: &Facts) -> Topology {
    let mut ready = backends
        .iter()
        .filter(|backend| backend.conditions.ready)
        .peekable();
    if ready.peek().is_none() {
        return Topology::Anywhere;
    }
    let ready: Vec<_> = ready.collect();
    let all = |hints: fn(&Backend<'_>) -> usize| ready.iter().all(|backend| hints(backend) > 0);
    let some = |topology| ready.iter().any(|backend| fits(backend, topology, facts));
    if all(|backend| backend.node_hints.len()) && some(Topology::SameNode) {
        Topology::SameNode
    } else if all(|backend| backend.zone_hints.len()) && some(Topology::SameZone) {
        Topology::SameZone
    } else {
        Topology::Anywhere
    }
}

fn fits(backend: &Backend<'_>, topology: Topology, facts: &Facts) -> bool {
    match topology {
        Topology::Anywhere => true,
        Topology::SameNode => backend.node_hints.contains(&facts.node),
        Topology::SameZone => facts
            .zone
            .as_ref()
            .is_some_and(|zone| backend.zone_hints.contains(zone)),
    }
}
