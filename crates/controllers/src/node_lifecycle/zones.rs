//! How fast nodes may be emptied: one every ten seconds and zone, slower where most of a zone is
//! down, and not at all if everything is, as then the fault is likely ours. Follows
//! handleDisruption and ComputeZoneState.

use super::health::is_ready;
use super::taints;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use stdx::Instant;
use typed::Typed;
use typed::api::core::v1::Node;

/// Upstream's --node-eviction-rate of 0.1 per second.
const PERIOD: Duration = Duration::from_secs(10);
/// Upstream's --secondary-node-eviction-rate of 0.01 per second.
const SLOW_PERIOD: Duration = Duration::from_secs(100);
/// Upstream's --large-cluster-size-threshold: smaller zones that are mostly down are left alone.
const LARGE: usize = 50;
/// Upstream's --unhealthy-zone-threshold.
const UNHEALTHY: f64 = 0.55;

/// When a node of each zone was last tainted.
#[derive(Default)]
pub(super) struct Zones {
    tainted: BTreeMap<String, Instant>,
}

/// What may be done in one look at all nodes.
pub(super) struct Pass {
    /// Whether pods are driven away at all.
    pub(super) evicts: bool,
    allowed: BTreeSet<String>,
}

impl Pass {
    pub(super) fn may_taint(&self, node: &str) -> bool {
        self.allowed.contains(node)
    }
}

impl Zones {
    pub(super) fn pass(&mut self, nodes: &[Arc<Node>], now: Instant) -> Pass {
        let mut zones: BTreeMap<String, Vec<&Arc<Node>>> = BTreeMap::new();
        for node in nodes {
            zones.entry(zone(node)).or_default().push(node);
        }
        self.tainted.retain(|zone, _| zones.contains_key(zone));
        let evicts = nodes.iter().any(|node| is_ready(node));
        let mut allowed = BTreeSet::new();
        for (zone, nodes) in &zones {
            let Some(period) = period(nodes) else {
                continue;
            };
            let rested = self
                .tainted
                .get(zone)
                .is_none_or(|last| now - *last >= period);
            let next = nodes
                .iter()
                .find(|node| taints::awaits_taint(node))
                .filter(|_| rested);
            allowed.extend(next.map(|node| node.name().to_owned()));
        }
        Pass { evicts, allowed }
    }

    /// Notes that a node of its zone was tainted.
    pub(super) fn tainted(&mut self, node: &Node, now: Instant) {
        self.tainted.insert(zone(node), now);
    }
}

/// How long to wait between two nodes of a zone; nothing if none may be emptied.
fn period(nodes: &[&Arc<Node>]) -> Option<Duration> {
    let down = nodes.iter().filter(|node| !is_ready(node)).count();
    let mostly_down =
        down > 2 && down < nodes.len() && down as f64 / nodes.len() as f64 >= UNHEALTHY;
    match mostly_down {
        false => Some(PERIOD),
        true if nodes.len() > LARGE => Some(SLOW_PERIOD),
        true => None,
    }
}

fn zone(node: &Node) -> String {
    let label = |name: &str| {
        node.labels()
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    };
    format!(
        "{}:{}",
        label("topology.kubernetes.io/region"),
        label("topology.kubernetes.io/zone")
    )
}
