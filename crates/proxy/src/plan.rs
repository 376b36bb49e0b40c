//! From one Service and its slices to the entries that follow: a pure
//! function, but for the numbers of groups, which come from the caller.
//!
//! Follows pkg/proxy/nftables/proxier.go in who may reach what, and from
//! which address; the mechanism is ours.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use crate::{
    endpoints::{self, Backend, Usable},
    entry::{Entry, GROUP_MAX, Key, Map, Masquerade, Shape, Value, at, on_node},
    model::{
        Cidr, EndpointSlice, Facts, Frontend, HostPort, Owner, Protocol, Service, ServicePort,
    },
};

/// What follows from one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The entries, in order and each key once.
    pub entries: Vec<Entry>,
    /// The frontends whose flows the kernel may have to forget when endpoints
    /// change, with the addresses that still answer.
    pub udp: Vec<UdpFrontend>,
    /// The numbers of its groups.
    pub groups: Vec<u32>,
}

/// A UDP frontend, and where its flows may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpFrontend {
    /// What clients address.
    pub frontend: Frontend,
    /// The endpoints that answer, whether or not they take new clients.
    pub serving: Arc<[IpAddr]>,
}

/// Gives groups their numbers, the same to the same name.
pub trait Groups {
    /// The number of the group of this name.
    fn number(&mut self, name: &str) -> u32;
}

/// Plans a Service.
pub fn plan_service(
    owner: &Owner,
    service: &Service,
    slices: &[EndpointSlice],
    facts: &Facts,
    groups: &mut dyn Groups,
) -> Plan {
    let mut planner = Planner::new(owner, facts, groups);
    for port in &service.ports {
        planner.port(service, port, slices);
    }
    planner.finish()
}

/// Plans the host ports of a pod. Each is a group of one endpoint, which sees
/// its clients' own addresses.
pub fn plan_host_ports(
    owner: &Owner,
    ports: &[HostPort],
    facts: &Facts,
    groups: &mut dyn Groups,
) -> Plan {
    let mut planner = Planner::new(owner, facts, groups);
    for port in ports {
        planner.host_port(port);
    }
    planner.finish()
}

struct Planner<'a> {
    owner: &'a Owner,
    facts: &'a Facts,
    groups: &'a mut dyn Groups,
    plan: Plan,
}

/// A group as frontends refer to it.
#[derive(Clone, Copy)]
struct Target {
    group: u32,
    shape: Shape,
}

/// What the frontends of a port may lead to.
struct Targets {
    cluster: Target,
    local: Target,
    serving: Arc<[IpAddr]>,
}

impl<'a> Planner<'a> {
    fn new(owner: &'a Owner, facts: &'a Facts, groups: &'a mut dyn Groups) -> Self {
        Self {
            owner,
            facts,
            groups,
            plan: Plan::default(),
        }
    }

    fn finish(mut self) -> Plan {
        let entries = &mut self.plan.entries;
        entries.sort_by_key(|entry| (entry.map, entry.key));
        entries.dedup_by_key(|entry| (entry.map, entry.key));
        self.plan
    }

    fn port(&mut self, service: &Service, port: &ServicePort, slices: &[EndpointSlice]) {
        let facts = self.facts;
        let cluster_ips: Vec<IpAddr> = self.own(&service.cluster_ips);
        let external_ips: Vec<IpAddr> = self.own(&service.external_ips);
        let balancer_ips: Vec<IpAddr> = self.own(&service.load_balancer_ips);
        let outward = !external_ips.is_empty() || !balancer_ips.is_empty();
        if cluster_ips.is_empty() && !outward && port.node_port.is_none() {
            return;
        }
        let backends = endpoints::of_port(port, slices, facts);
        let targets = self.targets(service, port, &backends);
        for address in cluster_ips {
            self.add(Map::ClusterIps, Key::Address(address), Value::None);
            let target = if service.internal_local {
                targets.local
            } else {
                targets.cluster
            };
            let key = at(port.protocol, address, port.port);
            self.frontend(Map::Services, key, target, Masquerade::Outside);
            self.udp(key, &targets);
        }
        for address in external_ips.iter().chain(&balancer_ips) {
            let key = at(port.protocol, *address, port.port);
            self.external(service, key, Map::Services, Map::ServicesLocal, &targets);
        }
        if let Some(node_port) = port.node_port {
            let key = on_node(port.protocol, node_port);
            self.external(service, key, Map::NodePorts, Map::NodePortsLocal, &targets);
        }
        for address in balancer_ips {
            self.sources(service, at(port.protocol, address, port.port));
        }
    }

    /// Makes the groups that the Service's policies use, and no others.
    fn targets(
        &mut self,
        service: &Service,
        port: &ServicePort,
        backends: &[Backend<'_>],
    ) -> Targets {
        let Usable {
            cluster,
            local,
            any,
        } = endpoints::usable(backends, self.facts);
        let outward = port.node_port.is_some()
            || !service.external_ips.is_empty()
            || !service.load_balancer_ips.is_empty();
        let uses_local = service.internal_local || (service.external_local && outward);
        let uses_cluster = !service.internal_local || outward;
        let empty = if any { Shape::Drop } else { Shape::Refuse };
        let mut make = |used: bool, scope: &str, members: &[(IpAddr, u16)]| {
            if used && !members.is_empty() {
                let name = format!("{}:{}/{}/{scope}", self.owner, port.name, port.protocol);
                self.group(&name, members, service.affinity_seconds)
            } else {
                Target {
                    group: 0,
                    shape: empty,
                }
            }
        };
        let targets = Targets {
            cluster: make(uses_cluster, "cluster", &cluster),
            local: make(uses_local, "local", &local),
            serving: serving(backends),
        };
        let mut reached: HashSet<IpAddr> = HashSet::new();
        reached.extend(cluster.iter().filter(|_| uses_cluster).map(|pair| pair.0));
        reached.extend(local.iter().filter(|_| uses_local).map(|pair| pair.0));
        for backend in backends {
            if (backend.local || backend.placeless) && reached.contains(&backend.address) {
                self.add(Map::Hairpins, Key::Address(backend.address), Value::None);
            }
        }
        targets
    }

    /// A frontend that others than pods use. Under the policy `Local`, pods
    /// and the node itself still reach all endpoints, as if they had gone out
    /// to a load balancer and come back.
    fn external(
        &mut self,
        service: &Service,
        key: Key,
        map: Map,
        local_map: Map,
        targets: &Targets,
    ) {
        if service.external_local {
            self.frontend(map, key, targets.cluster, Masquerade::Host);
            self.frontend(local_map, key, targets.local, Masquerade::Host);
        } else {
            self.frontend(map, key, targets.cluster, Masquerade::All);
        }
        self.udp(key, targets);
    }

    fn sources(&mut self, service: &Service, key: Key) {
        let Key::Frontend(frontend) = key else { return };
        let ranges = outermost(&service.source_ranges, self.facts.ipv6);
        if ranges.is_empty() || ranges.iter().any(|range| range.bits == 0) {
            return;
        }
        self.add(Map::Restricted, key, Value::None);
        for range in ranges {
            self.add(Map::Allowed, Key::Source(frontend, range), Value::None);
        }
    }

    fn host_port(&mut self, port: &HostPort) {
        let address = port.host_ip.filter(|address| !address.is_unspecified());
        let covered = self.facts.covers(port.pod_ip)
            && port
                .host_ip
                .is_none_or(|address| self.facts.covers(address));
        if !covered {
            return;
        }
        let (map, key) = match address {
            Some(address) => (Map::Services, at(port.protocol, address, port.host_port)),
            None => (Map::NodePorts, on_node(port.protocol, port.host_port)),
        };
        let name = format!("{} {key}", self.owner);
        let target = self.group(&name, &[(port.pod_ip, port.container_port)], None);
        self.frontend(map, key, target, Masquerade::Host);
        self.add(Map::Hairpins, Key::Address(port.pod_ip), Value::None);
        let targets = Targets {
            cluster: target,
            local: target,
            serving: [port.pod_ip].into(),
        };
        self.udp(key, &targets);
    }

    fn group(&mut self, name: &str, members: &[(IpAddr, u16)], affinity: Option<u32>) -> Target {
        let group = self.groups.number(name);
        self.plan.groups.push(group);
        let members = &members[..members.len().min(GROUP_MAX)];
        let count = members.len() as u32;
        let shape = match affinity {
            None | Some(0) => {
                for (slot, (address, port)) in (0..).zip(members) {
                    let key = Key::Slot { slot, group };
                    self.add(Map::Endpoints, key, Value::Endpoint(*address, *port));
                }
                Shape::Any { count }
            }
            Some(seconds) => {
                self.members(group, members);
                Shape::Sticky { count, seconds }
            }
        };
        Target { group, shape }
    }

    /// Endpoints that clients are remembered for are known by a number that
    /// does not change when others come and go.
    fn members(&mut self, group: u32, members: &[(IpAddr, u16)]) {
        let mut taken = HashSet::new();
        for (slot, (address, port)) in (0..).zip(members) {
            let mut member = hash(format!("{address} {port}").as_bytes());
            while !taken.insert(member) {
                member = member.wrapping_add(1);
            }
            let pick = Key::Slot { slot, group };
            self.add(Map::Picks, pick, Value::Member(member));
            let key = Key::Slot {
                slot: member,
                group,
            };
            self.add(Map::Members, key, Value::Endpoint(*address, *port));
        }
    }

    fn frontend(&mut self, map: Map, key: Key, target: Target, masquerade: Masquerade) {
        let value = Value::Target {
            group: target.group,
            shape: target.shape,
            masquerade,
        };
        self.add(map, key, value);
    }

    fn udp(&mut self, key: Key, targets: &Targets) {
        if let Key::Frontend(frontend) = key
            && frontend.protocol == Protocol::Udp
        {
            self.plan.udp.push(UdpFrontend {
                frontend,
                serving: targets.serving.clone(),
            });
        }
    }

    fn add(&mut self, map: Map, key: Key, value: Value) {
        self.plan.entries.push(Entry { map, key, value });
    }

    /// The addresses of our family that are not served on the node itself.
    fn own(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let facts = self.facts;
        let wanted = |address: &&IpAddr| facts.covers(**address) && !facts.exempt.contains(address);
        addresses.iter().filter(wanted).copied().collect()
    }
}

fn serving(backends: &[Backend<'_>]) -> Arc<[IpAddr]> {
    backends
        .iter()
        .filter(|backend| backend.conditions.serving || backend.conditions.ready)
        .map(|backend| backend.address)
        .collect()
}

/// The ranges of a family that no other contains.
fn outermost(ranges: &[Cidr], ipv6: bool) -> Vec<Cidr> {
    let mut ranges: Vec<Cidr> = ranges
        .iter()
        .filter(|range| range.address.is_ipv6() == ipv6)
        .copied()
        .collect();
    ranges.sort_by_key(|range| range.bits);
    let mut kept: Vec<Cidr> = Vec::new();
    for range in ranges {
        if !kept.iter().any(|wider| wider.contains(&range)) {
            kept.push(range);
        }
    }
    kept
}

/// FNV-1a: small, and the same in every build.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
