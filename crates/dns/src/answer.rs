//! What a name in the cluster's zone means: a pure function of a question and
//! the directory.
//!
//! Follows the Kubernetes DNS-based service discovery specification 1.1.0
//! and, where it leaves a choice, CoreDNS: plugin/kubernetes/kubernetes.go,
//! plugin/kubernetes/parse.go and plugin/backend_lookup.go, with `pods
//! insecure` and a fall-through of reverse zones.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    directory::{Directory, Endpoint, Port, Reach, Service},
    name::Name,
    wire::{Data, Owner, Query, Rcode, Record, Reply, Target, kind},
};

/// The version of the specification that the answers follow.
const SCHEMA: &str = "1.1.0";

/// For how long that version may be remembered.
const SCHEMA_TTL: u32 = 28800;

/// External names that lead to external names.
const CHAIN_MAX: usize = 8;

/// What the zone is called, and how it answers.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The zone: `cluster.local`.
    pub zone: Name,
    /// The zone as text, without a dot at the end.
    pub domain: String,
    /// For how many seconds answers may be remembered.
    pub ttl: u32,
    /// The addresses of the server itself.
    pub servers: Vec<IpAddr>,
}

/// What is to be done about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reply answers it.
    Answered,
    /// It is none of ours.
    Forward,
    /// The reply leads to a name that others know.
    Chase(String),
}

/// Answers a question into `reply`, which is clear.
pub fn answer(
    query: &Query,
    cluster: &Cluster,
    directory: &dyn Directory,
    reply: &mut Reply,
) -> Verdict {
    if !query.name.is_within(&cluster.zone) {
        return reverse(query, cluster, directory, reply);
    }
    reply.zone_labels = cluster.zone.count();
    reply.authoritative = true;
    let lookup = Lookup {
        query,
        cluster,
        directory,
    };
    match lookup.zone(reply) {
        Ok(verdict) => {
            if reply.answers.is_empty() && verdict == Verdict::Answered {
                reply.authority = Some(lookup.soa());
            }
            verdict
        }
        Err(NoName) => {
            reply.answers.clear();
            reply.rcode = match directory.synced() {
                true => Rcode::NxDomain,
                false => Rcode::ServFail,
            };
            reply.authority = Some(lookup.soa());
            Verdict::Answered
        }
    }
}

/// Addresses of the cluster have names; of others, others know the names.
fn reverse(
    query: &Query,
    cluster: &Cluster,
    directory: &dyn Directory,
    reply: &mut Reply,
) -> Verdict {
    if query.kind != kind::PTR {
        return Verdict::Forward;
    }
    let Some(address) = reverse_address(&query.name) else {
        return Verdict::Forward;
    };
    let mut names = match directory.service_at(address) {
        Some(service) => vec![format!("{}.{}", service.name, service.namespace)],
        None => directory.endpoints_at(address),
    };
    names.dedup();
    if names.is_empty() {
        return Verdict::Forward;
    }
    reply.authoritative = true;
    reply.answers.extend(names.iter().map(|name| Record {
        owner: Owner::Question,
        ttl: cluster.ttl,
        data: Data::Ptr(Target::Name(format!("{name}.svc.{}", cluster.domain))),
    }));
    Verdict::Answered
}

/// There is no such name.
struct NoName;

/// What a name in the zone leads to.
enum Hit<'a> {
    /// An address, with a port unless there are no ports at all.
    Address(IpAddr, Option<u16>, &'a Service, Option<&'a Endpoint>),
    /// The address in a pod's name.
    Pod(IpAddr),
    /// Another name.
    External(&'a str),
}

struct Lookup<'a> {
    query: &'a Query,
    cluster: &'a Cluster,
    directory: &'a dyn Directory,
}

impl Lookup<'_> {
    fn zone(&self, reply: &mut Reply) -> Result<Verdict, NoName> {
        let base = Base::of(&self.query.name, self.cluster.zone.count());
        match self.query.kind {
            kind::SOA => {
                reply.answers.push(self.soa());
                return Ok(Verdict::Answered);
            }
            kind::TXT => {
                if base.is(&["dns-version"]) {
                    reply.answers.push(Record {
                        owner: Owner::Question,
                        ttl: SCHEMA_TTL,
                        data: Data::Txt(SCHEMA),
                    });
                }
                return Ok(Verdict::Answered);
            }
            kind::NS => {
                if base.count == 0 {
                    self.name_servers(reply);
                }
                return Ok(Verdict::Answered);
            }
            _ => {}
        }
        if base.is(&["ns", "dns"]) {
            let servers = self.cluster.servers.iter();
            let wanted = servers.filter_map(|address| address_data(*address, self.query.kind));
            let records = wanted.map(|data| self.record(data));
            reply.answers.extend(records);
            return Ok(Verdict::Answered);
        }
        match self.query.kind {
            kind::A | kind::AAAA => self.addresses(&base, reply),
            kind::SRV => self.services(&base, reply),
            kind::CNAME => self.canonical(&base, reply),
            // Whether the name is there tells an empty answer from none.
            _ => self.find(&base, &mut |_| {}).map(|()| Verdict::Answered),
        }
    }

    /// Addresses; external names are followed as far as the zone goes.
    fn addresses(&self, base: &Base<'_>, reply: &mut Reply) -> Result<Verdict, NoName> {
        let Some(mut target) = self.collect(base, Owner::Question, reply)? else {
            return Ok(Verdict::Answered);
        };
        let mut owner = Owner::Question;
        for _ in 0..CHAIN_MAX {
            let seen = reply
                .answers
                .iter()
                .any(|record| record.owner == Owner::Name(target.clone()));
            let name = Name::parse(&target);
            let (Some(name), false) = (name, seen) else {
                break;
            };
            reply.answers.push(Record {
                owner,
                ttl: self.cluster.ttl,
                data: Data::Cname(Target::Name(target.clone())),
            });
            if !name.is_within(&self.cluster.zone) {
                return Ok(Verdict::Chase(target));
            }
            let base = Base::of(&name, self.cluster.zone.count());
            owner = Owner::Name(target.clone());
            let before = reply.answers.len();
            match self.collect(&base, owner.clone(), reply) {
                Ok(Some(next)) => target = next,
                Ok(None) if reply.answers.len() > before => return Ok(Verdict::Answered),
                Ok(None) | Err(NoName) => break,
            }
        }
        // The chain leads nowhere, and half a chain is of no use.
        reply.answers.clear();
        Ok(Verdict::Answered)
    }

    /// Adds the addresses of a name, or returns the name that it stands for.
    fn collect(
        &self,
        base: &Base<'_>,
        owner: Owner,
        reply: &mut Reply,
    ) -> Result<Option<String>, NoName> {
        let mut external = None;
        let mut seen = Seen::default();
        self.find(base, &mut |hit| match hit {
            Hit::External(name) => external = Some(name.to_owned()),
            Hit::Address(address, ..) | Hit::Pod(address) => {
                if let Some(data) = address_data(address, self.query.kind)
                    && seen.is_new(address)
                {
                    reply.answers.push(Record {
                        owner: owner.clone(),
                        ttl: self.cluster.ttl,
                        data,
                    });
                }
            }
        })?;
        Ok(external)
    }

    /// Ports with their hosts, and the hosts' addresses beside.
    fn services(&self, base: &Base<'_>, reply: &mut Reply) -> Result<Verdict, NoName> {
        let mut all: Vec<(IpAddr, Option<u16>, String)> = Vec::new();
        self.find(base, &mut |hit| match hit {
            Hit::External(_) => {}
            Hit::Pod(address) => {
                let labels = [base.label(0), base.label(1), base.label(2)];
                all.push((address, Some(0), labels.join(".")));
            }
            Hit::Address(address, port, service, endpoint) => {
                let Service {
                    name, namespace, ..
                } = service;
                let host = match endpoint {
                    Some(endpoint) => format!("{}.{name}.{namespace}.svc", endpoint.hostname),
                    None => format!("{name}.{namespace}.svc"),
                };
                all.push((address, port, host));
            }
        })?;
        let weight = (100 / all.len().max(1)).max(1) as u16;
        let mut hosts: HashSet<(String, u16)> = HashSet::new();
        let mut helpers: HashSet<(String, IpAddr)> = HashSet::new();
        let mut last = 0;
        for (address, port, host) in all {
            let Some(port) = port else {
                continue;
            };
            if hosts.insert((host.clone(), port)) {
                last = reply.answers.len();
                reply.answers.push(self.record(Data::Srv {
                    weight,
                    port,
                    target: Target::InZone(host.clone()),
                }));
            }
            if helpers.insert((host, address)) {
                reply.additionals.push(Record {
                    owner: Owner::TargetOf(last),
                    ttl: self.cluster.ttl,
                    data: any_address_data(address),
                });
            }
        }
        Ok(Verdict::Answered)
    }

    fn canonical(&self, base: &Base<'_>, reply: &mut Reply) -> Result<Verdict, NoName> {
        self.find(base, &mut |hit| {
            if let Hit::External(name) = hit {
                let target = Target::Name(name.to_owned());
                reply.answers.push(self.record(Data::Cname(target)));
            }
        })?;
        Ok(Verdict::Answered)
    }

    /// The zone's servers: the Service that has the server's address, else a
    /// name made up for it.
    fn name_servers(&self, reply: &mut Reply) {
        for address in &self.cluster.servers {
            let host = match self.directory.service_at(*address) {
                Some(service) => format!("{}.{}.svc", service.name, service.namespace),
                None => "ns.dns".to_owned(),
            };
            let data = Data::Ns(Target::InZone(host));
            let there = reply.answers.iter().position(|record| record.data == data);
            let index = there.unwrap_or(reply.answers.len());
            if there.is_none() {
                reply.answers.push(self.record(data));
            }
            reply.additionals.push(Record {
                owner: Owner::TargetOf(index),
                ttl: self.cluster.ttl,
                data: any_address_data(*address),
            });
        }
    }

    /// Tells what a name leads to. No call means that there is such a name,
    /// but nothing at it.
    fn find(&self, base: &Base<'_>, tell: &mut dyn FnMut(Hit<'_>)) -> Result<(), NoName> {
        let Some(path) = Path::of(base)? else {
            return Ok(());
        };
        if !self.directory.namespace(path.namespace) {
            return Err(NoName);
        }
        let Some(name) = path.name else {
            return Ok(());
        };
        if path.pod {
            tell(Hit::Pod(pod_address(name).ok_or(NoName)?));
            return Ok(());
        }
        let service = self.directory.service(path.namespace, name);
        let service = service.ok_or(NoName)?;
        match &service.reach {
            Reach::External(_) if path.endpoint.is_some() => Err(NoName),
            // An address is no name to lead to.
            Reach::External(name) if name.parse::<IpAddr>().is_ok() => Err(NoName),
            Reach::External(name) => {
                tell(Hit::External(name));
                Ok(())
            }
            Reach::Cluster(addresses) if path.endpoint.is_none() => {
                let mut found = false;
                each_port(&service.ports, &path, &mut |port| {
                    found = true;
                    for address in addresses {
                        tell(Hit::Address(*address, port, &service, None));
                    }
                });
                found.then_some(()).ok_or(NoName)
            }
            Reach::Headless | Reach::Cluster(_) => self.endpoints(&service, &path, tell),
        }
    }

    fn endpoints(
        &self,
        service: &Service,
        path: &Path<'_>,
        tell: &mut dyn FnMut(Hit<'_>),
    ) -> Result<(), NoName> {
        let mut found = false;
        let endpoints = self.directory.endpoints(&service.namespace, &service.name);
        let named = |endpoint: &&Endpoint| {
            path.endpoint
                .is_none_or(|name| endpoint.hostname.eq_ignore_ascii_case(name))
        };
        for endpoint in endpoints.iter().filter(named) {
            each_port(&endpoint.ports, path, &mut |port| {
                found = true;
                tell(Hit::Address(
                    endpoint.address,
                    port,
                    service,
                    Some(endpoint),
                ));
            });
        }
        found.then_some(()).ok_or(NoName)
    }

    fn record(&self, data: Data) -> Record {
        Record {
            owner: Owner::Question,
            ttl: self.cluster.ttl,
            data,
        }
    }

    fn soa(&self) -> Record {
        Record {
            owner: Owner::Zone,
            ttl: self.cluster.ttl.min(300),
            data: Data::Soa {
                serial: self.directory.serial(),
                minimum: self.cluster.ttl,
            },
        }
    }
}

/// Tells the ports that a name asks for. What has no ports at all has one
/// without a number.
fn each_port(ports: &[Port], path: &Path<'_>, tell: &mut dyn FnMut(Option<u16>)) {
    let (name, protocol) = path.port.unwrap_or_default();
    if ports.is_empty() && name.is_empty() && protocol.is_empty() {
        return tell(None);
    }
    for port in ports {
        let same = |asked: &str, is: &str| asked.is_empty() || asked.eq_ignore_ascii_case(is);
        if same(name, &port.name) && same(protocol, &port.protocol) {
            tell(Some(port.number));
        }
    }
}

/// The labels of a name before the zone.
struct Base<'a> {
    name: &'a Name,
    count: usize,
}

impl<'a> Base<'a> {
    fn of(name: &'a Name, zone_labels: usize) -> Self {
        Self {
            name,
            count: name.count() - zone_labels,
        }
    }

    fn label(&self, index: usize) -> &'a str {
        self.name.label(index)
    }

    fn is(&self, labels: &[&str]) -> bool {
        self.count == labels.len() && labels.iter().enumerate().all(|(i, l)| self.label(i) == *l)
    }
}

/// The labels of a name by what they mean.
struct Path<'a> {
    pod: bool,
    namespace: &'a str,
    name: Option<&'a str>,
    endpoint: Option<&'a str>,
    /// A port's name and protocol.
    port: Option<(&'a str, &'a str)>,
}

impl<'a> Path<'a> {
    /// Reads a name from its end. None is a name that is there by itself.
    fn of(base: &Base<'a>) -> Result<Option<Self>, NoName> {
        if base.count == 0 {
            return Ok(None);
        }
        let pod = match base.label(base.count - 1) {
            "svc" => false,
            "pod" => true,
            _ => return Err(NoName),
        };
        let plain = |label: &'a str| label.strip_prefix('_').unwrap_or(label);
        let (name, endpoint, port) = match base.count {
            1 => return Ok(None),
            2 => (None, None, None),
            3 => (Some(base.label(0)), None, None),
            4 => (Some(base.label(1)), Some(base.label(0)), None),
            5 => (
                Some(base.label(2)),
                None,
                Some((plain(base.label(0)), plain(base.label(1)))),
            ),
            _ => return Err(NoName),
        };
        Ok(Some(Self {
            pod,
            namespace: base.label(base.count - 2),
            name,
            endpoint,
            port,
        }))
    }
}

/// Addresses that were told already. Few are searched, many are hashed.
#[derive(Default)]
struct Seen {
    few: Vec<IpAddr>,
    many: HashSet<IpAddr>,
}

impl Seen {
    fn is_new(&mut self, address: IpAddr) -> bool {
        const FEW: usize = 16;
        if self.many.is_empty() && self.few.len() < FEW {
            let new = !self.few.contains(&address);
            if new {
                self.few.push(address);
            }
            return new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.drain(..));
        }
        self.many.insert(address)
    }
}

fn address_data(address: IpAddr, kind: u16) -> Option<Data> {
    match address {
        IpAddr::V4(address) if kind == kind::A => Some(Data::A(address)),
        IpAddr::V6(address) if kind == kind::AAAA => Some(Data::Aaaa(address)),
        _ => None,
    }
}

fn any_address_data(address: IpAddr) -> Data {
    match address {
        IpAddr::V4(address) => Data::A(address),
        IpAddr::V6(address) => Data::Aaaa(address),
    }
}

/// The address in a pod's name: `10-42-0-7` or `fd00--1`.
fn pod_address(label: &str) -> Option<IpAddr> {
    if label.matches('-').count() == 3 && !label.contains("--") {
        let address: Option<Ipv4Addr> = label.replace('-', ".").parse().ok();
        return address.map(IpAddr::V4);
    }
    let address: Ipv6Addr = label.replace('-', ":").parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// The address of a name such as `4.3.2.1.in-addr.arpa`.
fn reverse_address(name: &Name) -> Option<IpAddr> {
    let labels = |count: usize| (0..count).rev().map(|index| name.label(index));
    if name.count() == 6 && name.label(4) == "in-addr" && name.label(5) == "arpa" {
        let text = labels(4).collect::<Vec<_>>().join(".");
        return text.parse().ok().map(IpAddr::V4);
    }
    if name.count() == 34 && name.label(32) == "ip6" && name.label(33) == "arpa" {
        let mut bits: u128 = 0;
        for label in labels(32) {
            let digit = (label.len() == 1).then(|| u128::from_str_radix(label, 16).ok())??;
            bits = bits << 4 | digit;
        }
        return Some(IpAddr::V6(Ipv6Addr::from(bits)));
    }
    None
}

#[cfg(test)]
mod tests;
