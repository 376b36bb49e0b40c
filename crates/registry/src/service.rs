//! The addresses and ports that Services hold. An address is an IPAddress
//! object and a node port a record beside the objects; both are written in the
//! transaction that writes the Service, so neither can be given twice nor be
//! left behind. Follows pkg/registry/core/service/storage/alloc.go.

use crate::hooks::Hook;
use crate::registry::Registry;
use crate::{failure, keys, stored};
use async_trait::async_trait;
use bytes::Bytes;
use meta::object::Object as _;
use meta::{Errors, Field, FieldError, GroupVersionKind, Path, Status, Value, time, value};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use store::{Guard, Op, Txn};

/// Where the node ports that are held are recorded.
const PORTS: &str = "/allocations/nodeports/";
/// How many addresses are tried at random before all are looked at in turn.
const RANDOM_TRIES: usize = 32;

/// Gives addresses and node ports to Services.
#[derive(Debug)]
pub struct ServiceAllocator {
    /// The first address of the range and its prefix length.
    pub network: (Ipv4Addr, u8),
    /// The addresses of the range that nobody gets by chance.
    pub reserved: Vec<Ipv4Addr>,
    /// The first and last node port.
    pub ports: (u16, u16),
}

impl ServiceAllocator {
    fn size(&self) -> u32 {
        1u32.checked_shl(32 - u32::from(self.network.1))
            .unwrap_or(u32::MAX)
    }

    fn base(&self) -> u32 {
        u32::from(self.network.0) & !(self.size().wrapping_sub(1))
    }

    /// Neither the network's own address nor its broadcast address.
    fn contains(&self, ip: Ipv4Addr) -> bool {
        let offset = u32::from(ip).wrapping_sub(self.base());
        offset > 0 && offset < self.size() - 1
    }

    fn range(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.base()), self.network.1)
    }

    /// A free address, in the upper part of the range as long as there is one:
    /// the lower part is left to those who ask for an address by name.
    async fn free_address(&self, registry: &Registry) -> Result<Ipv4Addr, Status> {
        let size = self.size();
        let low = (size / 16).clamp(16, 256).min(size.saturating_sub(2));
        for _ in 0..RANDOM_TRIES {
            let offset = registry
                .rng()
                .range(u64::from(low)..u64::from(size.max(low + 1)))
                as u32;
            let ip = Ipv4Addr::from(self.base() + offset);
            if self.is_free(registry, ip).await? {
                return Ok(ip);
            }
        }
        for offset in (low..size).chain(1..low) {
            let ip = Ipv4Addr::from(self.base() + offset);
            if self.is_free(registry, ip).await? {
                return Ok(ip);
            }
        }
        Err(Status::internal(
            "failed to allocate a serviceIP: range is full",
        ))
    }

    async fn is_free(&self, registry: &Registry, ip: Ipv4Addr) -> Result<bool, Status> {
        if !self.contains(ip) || self.reserved.contains(&ip) {
            return Ok(false);
        }
        Ok(registry
            .store()
            .get(&address_key(ip), None)
            .await
            .map_err(failure::store)?
            .is_none())
    }

    async fn free_port(&self, registry: &Registry, taken: &BTreeSet<i64>) -> Result<i64, Status> {
        let (first, last) = (u64::from(self.ports.0), u64::from(self.ports.1));
        let start = registry.rng().range(first..last + 1);
        let around = (start..=last).chain(first..start);
        for port in around {
            let port = port as i64;
            let held = registry
                .store()
                .get(&port_key(port), None)
                .await
                .map_err(failure::store)?;
            if held.is_none() && !taken.contains(&port) {
                return Ok(port);
            }
        }
        Err(Status::internal(
            "failed to allocate a nodePort: range is full",
        ))
    }

    /// Gives the Service the addresses that it needs and does not hold.
    async fn addresses(
        &self,
        registry: &Registry,
        object: &mut Value,
        held: &BTreeSet<Ipv4Addr>,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        if !needs_address(object) {
            return Ok(());
        }
        let wanted: Vec<String> = object
            .items_at(&["spec", "clusterIPs"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_string)
            .collect();
        self.refuse_second_family(object)?;
        object.set_at(&["spec", "ipFamilies"], vec!["IPv4"]);
        object.set_at(&["spec", "ipFamilyPolicy"], "SingleStack");
        let ip = match wanted.first().map(String::as_str) {
            Some("None") => {
                object.set_at(&["spec", "clusterIP"], "None");
                return Ok(());
            }
            Some(text) => match text.parse::<Ipv4Addr>() {
                Ok(ip) if held.contains(&ip) => return Ok(()),
                Ok(ip) => {
                    self.check_wanted(registry, object, ip).await?;
                    ip
                }
                // Validation says what is wrong with it.
                Err(_) => return Ok(()),
            },
            None => self.free_address(registry).await?,
        };
        object.set_at(&["spec", "clusterIP"], ip.to_string());
        object.set_at(&["spec", "clusterIPs"], vec![ip.to_string()]);
        hold_address(registry, object, ip, txn);
        Ok(())
    }

    /// This cluster has addresses of one family.
    fn refuse_second_family(&self, object: &Value) -> Result<(), Status> {
        let spec = Field::root(object).get("spec");
        let mut errors = Errors::new();
        if spec.get("ipFamilyPolicy").str() == "RequireDualStack" {
            errors.push(
                spec.get("ipFamilyPolicy")
                    .invalid("this cluster is not configured for dual-stack services"),
            );
        }
        for family in spec.get("ipFamilies").items().filter(|f| f.str() != "IPv4") {
            errors.push(family.invalid("not configured on this cluster"));
        }
        refuse(object, errors)
    }

    async fn check_wanted(
        &self,
        registry: &Registry,
        object: &Value,
        ip: Ipv4Addr,
    ) -> Result<(), Status> {
        let why = if !self.contains(ip) {
            format!(
                "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
                self.range()
            )
        } else if registry
            .store()
            .get(&address_key(ip), None)
            .await
            .map_err(failure::store)?
            .is_some()
        {
            "provided IP is already allocated".to_string()
        } else {
            return Ok(());
        };
        let why = format!("failed to allocate IP {ip}: {why}");
        let error = FieldError::invalid(&Path::new("spec.clusterIPs"), vec![ip.to_string()], why);
        let errors = Errors(vec![error]);
        refuse(object, errors)
    }

    /// Gives the Service the node ports that it needs and does not hold.
    async fn node_ports(
        &self,
        registry: &Registry,
        object: &mut Value,
        held: &BTreeSet<i64>,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        let needs = needs_ports(object);
        let asked: Vec<i64> = object
            .items_at(&["spec", "ports"])
            .iter()
            .map(|port| port.i64_at(&["nodePort"]).unwrap_or(0))
            .collect();
        let mut taken = held.clone();
        let mut complaints = Vec::new();
        for (i, asked) in asked.into_iter().enumerate() {
            if (asked == 0 && !needs) || taken.contains(&asked) {
                continue;
            }
            let port = match asked {
                // Protocols of one port share their node port.
                0 => match sibling(object, i) {
                    Some(port) => {
                        set_node_port(object, i, port);
                        continue;
                    }
                    None => self.free_port(registry, &taken).await?,
                },
                port => match self.why_not(registry, port).await? {
                    Some(why) => {
                        complaints.push((i, port, why));
                        continue;
                    }
                    None => port,
                },
            };
            taken.insert(port);
            hold_port(object, port, txn);
            set_node_port(object, i, port);
        }
        refuse(object, port_errors(complaints))?;
        self.health_port(registry, object, &taken, txn).await
    }

    /// The port at which nodes tell whether they have endpoints of a Service
    /// whose traffic stays on the node.
    async fn health_port(
        &self,
        registry: &Registry,
        object: &mut Value,
        taken: &BTreeSet<i64>,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        let asked = object.i64_at(HEALTH_PORT).unwrap_or(0);
        if !needs_health_port(object) {
            // One that was asked for in vain is for validation to complain of.
            if taken.contains(&asked) {
                object.remove_at(HEALTH_PORT);
            }
            return Ok(());
        }
        if taken.contains(&asked) {
            return Ok(());
        }
        let port = match asked {
            0 => self.free_port(registry, taken).await?,
            port => match self.why_not(registry, port).await? {
                Some(why) => {
                    let path = Path::new("spec.healthCheckNodePort");
                    return refuse(object, Errors(vec![FieldError::invalid(&path, port, why)]));
                }
                None => port,
            },
        };
        object.set_at(HEALTH_PORT, port);
        hold_port(object, port, txn);
        Ok(())
    }

    async fn why_not(&self, registry: &Registry, port: i64) -> Result<Option<String>, Status> {
        let (first, last) = self.ports;
        if port < i64::from(first) || port > i64::from(last) {
            return Ok(Some(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            )));
        }
        let held = registry
            .store()
            .get(&port_key(port), None)
            .await
            .map_err(failure::store)?;
        Ok(held.map(|_| "provided port is already allocated".to_string()))
    }
}

const HEALTH_PORT: &[&str] = &["spec", "healthCheckNodePort"];

fn needs_health_port(object: &Value) -> bool {
    object.str_at(&["spec", "type"]) == "LoadBalancer"
        && object.str_at(&["spec", "externalTrafficPolicy"]) == "Local"
}

/// The node port of another port of the same number.
fn sibling(object: &Value, at: usize) -> Option<i64> {
    let ports = object.items_at(&["spec", "ports"]);
    let number = ports.get(at)?.i64_at(&["port"]);
    let same = ports.iter().filter(|port| port.i64_at(&["port"]) == number);
    same.filter_map(|port| port.i64_at(&["nodePort"]))
        .find(|port| *port > 0)
}

fn set_node_port(object: &mut Value, at: usize, port: i64) {
    let ports = object
        .at_mut(&["spec", "ports"])
        .and_then(Value::as_array_mut);
    if let Some(slot) = ports.and_then(|ports| ports.get_mut(at)) {
        slot.set_at(&["nodePort"], port);
    }
}

fn port_errors(complaints: Vec<(usize, i64, String)>) -> Errors {
    let ports = Path::new("spec.ports");
    let error = |(i, port, why)| FieldError::invalid(&ports.index(i).child("nodePort"), port, why);
    Errors(complaints.into_iter().map(error).collect())
}

fn refuse(object: &Value, errors: Errors) -> Result<(), Status> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(
            &GroupVersionKind::new("", "v1", "Service"),
            object.name(),
            &errors,
        )),
    }
}

fn needs_address(object: &Value) -> bool {
    object.str_at(&["spec", "type"]) != "ExternalName"
}

fn needs_ports(object: &Value) -> bool {
    let allocate = object
        .at(&["spec", "allocateLoadBalancerNodePorts"])
        .and_then(Value::as_bool);
    match object.str_at(&["spec", "type"]) {
        "NodePort" => true,
        "LoadBalancer" => allocate != Some(false),
        _ => false,
    }
}

/// The addresses that a Service holds.
fn addresses_of(object: &Value) -> BTreeSet<Ipv4Addr> {
    if !needs_address(object) {
        return BTreeSet::new();
    }
    let ips = object
        .items_at(&["spec", "clusterIPs"])
        .iter()
        .filter_map(Value::as_str);
    ips.filter_map(|ip| ip.parse().ok()).collect()
}

/// The node ports that a Service holds.
fn ports_of(object: &Value) -> BTreeSet<i64> {
    let ports = object.items_at(&["spec", "ports"]).iter();
    ports
        .filter_map(|port| port.i64_at(&["nodePort"]))
        .chain(object.i64_at(HEALTH_PORT))
        .filter(|port| *port > 0)
        .collect()
}

fn address_key(ip: Ipv4Addr) -> Bytes {
    keys::key(
        &keys::prefix(api::Kind::card(&api::networking::ipaddress::IPAddress)),
        "",
        &ip.to_string(),
    )
}

fn port_key(port: i64) -> Bytes {
    Bytes::from(format!("{PORTS}{port}"))
}

fn hold_address(registry: &Registry, object: &Value, ip: Ipv4Addr, txn: &mut Txn) {
    let address = value!({
        "metadata": {
            "name": ip.to_string(),
            "uid": registry.rng().uuid().to_string(),
            "generation": 1,
            "creationTimestamp": time::seconds(registry.clock().wall()),
            "labels": {
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                "ipaddress.kubernetes.io/ip-family": "IPv4"
            }
        },
        "spec": {"parentRef": {
            "group": "", "resource": "services", "namespace": object.namespace(), "name": object.name()
        }}
    });
    let key = address_key(ip);
    txn.guards.push(Guard::Absent { key: key.clone() });
    txn.ops.push(Op::Put {
        key,
        value: stored::encode(&address),
        ttl: None,
    });
}

fn hold_port(object: &Value, port: i64, txn: &mut Txn) {
    let key = port_key(port);
    let holder = format!("{}/{}", object.namespace(), object.name());
    txn.guards.push(Guard::Absent { key: key.clone() });
    txn.ops.push(Op::Put {
        key,
        value: holder.into(),
        ttl: None,
    });
}

#[async_trait]
impl Hook for ServiceAllocator {
    async fn create(
        &self,
        registry: &Registry,
        object: &mut Value,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        self.addresses(registry, object, &BTreeSet::new(), txn)
            .await?;
        self.node_ports(registry, object, &BTreeSet::new(), txn)
            .await
    }

    async fn update(
        &self,
        registry: &Registry,
        object: &mut Value,
        old: &Value,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        let (addresses, ports) = (addresses_of(old), ports_of(old));
        self.addresses(registry, object, &addresses, txn).await?;
        self.node_ports(registry, object, &ports, txn).await?;
        for ip in addresses.difference(&addresses_of(object)) {
            txn.ops.push(Op::Delete {
                key: address_key(*ip),
            });
        }
        for port in ports.difference(&ports_of(object)) {
            txn.ops.push(Op::Delete {
                key: port_key(*port),
            });
        }
        Ok(())
    }

    async fn delete(
        &self,
        _registry: &Registry,
        object: &Value,
        txn: &mut Txn,
    ) -> Result<(), Status> {
        for ip in addresses_of(object) {
            txn.ops.push(Op::Delete {
                key: address_key(ip),
            });
        }
        for port in ports_of(object) {
            txn.ops.push(Op::Delete {
                key: port_key(port),
            });
        }
        Ok(())
    }
}
