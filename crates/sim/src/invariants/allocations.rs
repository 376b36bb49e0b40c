//! At every commit each Service address and node port is held by exactly the one
//! Service that has it, and nothing is held by nobody.

use super::{Invariant, View};
use crate::history::{Object, Step};
use std::collections::BTreeMap;

pub struct Allocations;

const ADDRESSES: &str = "networking.k8s.io/ipaddresses";
const PORTS: &str = "allocations/nodeports";

impl Invariant for Allocations {
    fn name(&self) -> &'static str {
        "addresses and node ports"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        let concerns = |kind: &str| matches!(kind, "core/services" | ADDRESSES | PORTS);
        if !step
            .changes
            .iter()
            .any(|change| concerns(&change.place.kind))
        {
            return Ok(());
        }
        let mut held = BTreeMap::new();
        for (place, address) in view.history.all(ADDRESSES) {
            let holder = format!(
                "{}/{}",
                address.text("/spec/parentRef/namespace"),
                address.text("/spec/parentRef/name")
            );
            held.insert(place.name.clone(), holder);
        }
        for (place, port) in view.history.all(PORTS) {
            let holder = port.value.as_str().unwrap_or_default().to_owned();
            held.insert(place.name.clone(), holder);
        }
        for (place, service) in view.history.all("core/services") {
            let name = format!("{}/{}", place.namespace, place.name);
            for thing in things(service) {
                match held.remove(&thing) {
                    Some(holder) if holder == name => {}
                    Some(holder) => {
                        return Err(format!("{name} has {thing}, which {holder} holds"));
                    }
                    None => {
                        return Err(format!("{name} has {thing}, which nobody or another holds"));
                    }
                }
            }
        }
        match held.into_iter().next() {
            Some((thing, holder)) => Err(format!("{thing} is held for {holder}, which has it not")),
            None => Ok(()),
        }
    }
}

/// The addresses and node ports of a Service.
fn things(service: &Object) -> Vec<String> {
    let addresses = service.items("/spec/clusterIPs").iter();
    let addresses = addresses
        .filter_map(|ip| ip.as_str())
        .filter(|ip| *ip != "None")
        .map(str::to_owned);
    let ports = service.items("/spec/ports").iter();
    let ports = ports
        .filter_map(|port| port["nodePort"].as_i64())
        .filter(|port| *port > 0)
        .map(|port| port.to_string());
    addresses.chain(ports).collect()
}
