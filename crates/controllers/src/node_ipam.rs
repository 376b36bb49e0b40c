//! Every node has a range of pod addresses of its own. Follows
//! pkg/controller/nodeipam/ipam/range_allocator.go.

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use client::events::{NORMAL, Recorder};
use client::{Api, Patch};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use typed::Typed;
use typed::api::core::v1::Node;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "node-ipam-controller",
    identity: "node-controller",
    rules: &[
        Rule::new(&[""], &["nodes"], &["get", "list", "patch", "update"]),
        EVENTS,
    ],
    start,
};

fn start(context: &Context) {
    let options = &context.options;
    let size = |range: &Range| {
        if range.is_v4() {
            options.node_cidr_mask_size_ipv4
        } else {
            options.node_cidr_mask_size_ipv6
        }
    };
    let parse = |texts: &[String]| {
        texts
            .iter()
            .filter_map(|text| Range::parse(text))
            .collect::<Vec<_>>()
    };
    let pools: Vec<Pool> = parse(&options.cluster_cidrs)
        .into_iter()
        .map(|range| Pool {
            range,
            size: size(&range),
        })
        .collect();
    if pools.is_empty() {
        tracing::info!("no cluster CIDR is given: nodes get no ranges of pod addresses");
        return;
    }
    let nodes = context.factory.informer::<Node>();
    let queue = context.queue();
    let changed = queue.clone();
    nodes.on_change(move |change: &Change<Node>| changed.add(ObjectKey::of(&**change.object())));
    let allocator = Arc::new(Allocator {
        nodes: nodes.store(),
        api: context.client.api(),
        recorder: context.recorder("cidrAllocator"),
        pools,
        reserved: parse(&options.service_cidrs),
        promised: Mutex::default(),
    });
    let synced = async move { nodes.synced().await };
    // One worker: two nodes must not be promised the same range.
    context.reconcile(queue, Workers::new(1), synced, allocator);
}

struct Allocator {
    nodes: Store<Node>,
    api: Api<Node>,
    recorder: Recorder,
    pools: Vec<Pool>,
    reserved: Vec<Range>,
    /// What was given to nodes, by name and uid, until the cache shows it.
    promised: Mutex<BTreeMap<(String, String), Vec<Range>>>,
}

/// All ranges are taken.
#[derive(Debug, thiserror::Error)]
#[error("no range of pod addresses is left for node {0}")]
struct Exhausted(String);

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Allocator {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(node) = self.nodes.by_key(key) else {
            return Ok(Action::Done);
        };
        if node.is_deleting() || !ranges_of(&node).is_empty() {
            return Ok(Action::Done);
        }
        let Some(ranges) = self.promise(&node) else {
            let message = format!("Node {} status is now: CIDRNotAvailable", node.name());
            self.recorder.event(
                &node.object_reference(),
                NORMAL,
                "CIDRNotAvailable",
                message,
            );
            return Err(Exhausted(node.name().to_owned()).into());
        };
        let texts: Vec<String> = ranges.iter().map(Range::to_string).collect();
        let patch = json!({"metadata": {"uid": node.uid()}, "spec": {"podCIDR": texts.first(), "podCIDRs": texts}});
        match self.api.patch(node.name(), &Patch::Merge(patch)).await {
            Err(error) if error.is_not_found() => Ok(Action::Done),
            outcome => Ok(outcome.map(|_| Action::Done)?),
        }
    }
}

impl Allocator {
    /// The ranges for a node: those promised before, or the first free ones.
    fn promise(&self, node: &Node) -> Option<Vec<Range>> {
        let nodes = self.nodes.list();
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |(name, uid): &(String, String)| {
            nodes
                .iter()
                .any(|node| node.name() == name && node.uid() == uid && ranges_of(node).is_empty())
        };
        promised.retain(|owner, _| waits(owner));
        let owner = (node.name().to_owned(), node.uid().to_owned());
        if let Some(ranges) = promised.get(&owner) {
            return Some(ranges.clone());
        }
        let taken: BTreeSet<Range> = nodes
            .iter()
            .flat_map(|node| ranges_of(node))
            .chain(promised.values().flatten().copied())
            .collect();
        let ranges = self
            .pools
            .iter()
            .map(|pool| pool.first_free(&taken, &self.reserved))
            .collect::<Option<Vec<_>>>()?;
        promised.insert(owner, ranges.clone());
        Some(ranges)
    }
}

fn ranges_of(node: &Node) -> Vec<Range> {
    let spec = node.spec.as_ref();
    let listed = spec
        .and_then(|spec| spec.pod_cidrs.clone())
        .unwrap_or_default();
    let single = spec.and_then(|spec| spec.pod_cidr.clone());
    let texts: BTreeSet<String> = listed
        .into_iter()
        .chain(single)
        .filter(|text| !text.is_empty())
        .collect();
    texts.iter().filter_map(|text| Range::parse(text)).collect()
}

/// A range that nodes' ranges of a size are cut from.
struct Pool {
    range: Range,
    size: u8,
}

impl Pool {
    fn first_free(&self, taken: &BTreeSet<Range>, reserved: &[Range]) -> Option<Range> {
        let bits = self.range.bits();
        let count = 1u128.checked_shl(u32::from(self.size.checked_sub(self.range.prefix)?))?;
        let step = 1u128.checked_shl(u32::from(bits - self.size))?;
        // Everything taken lies in the way once, so that the search ends soon after.
        (0..count)
            .map(|index| Range {
                start: self.range.start + index * step,
                prefix: self.size,
                v6: self.range.v6,
            })
            .find(|range| {
                !taken
                    .iter()
                    .chain(reserved)
                    .any(|other| range.overlaps(other))
            })
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    v6: bool,
    start: u128,
    prefix: u8,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix: u8 = prefix.parse().ok()?;
        let (v6, number) = match address.parse().ok()? {
            IpAddr::V4(address) => (false, u128::from(address.to_bits())),
            IpAddr::V6(address) => (true, address.to_bits()),
        };
        let range = Self {
            v6,
            start: number,
            prefix,
        };
        let host = u32::from(range.bits().checked_sub(prefix)?);
        let start = number
            .checked_shr(host)
            .unwrap_or(0)
            .checked_shl(host)
            .unwrap_or(0);
        Some(Self { start, ..range })
    }

    fn is_v4(&self) -> bool {
        !self.v6
    }

    fn bits(&self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let host = u32::from(self.bits() - self.prefix.min(other.prefix));
        self.v6 == other.v6
            && self.start.checked_shr(host).unwrap_or(0)
                == other.start.checked_shr(host).unwrap_or(0)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = if self.v6 {
            IpAddr::V6(self.start.into())
        } else {
            // The upper bits of an IPv4 address are zero by construction.
            IpAddr::V4((self.start as u32).into())
        };
        write!(formatter, "{address}/{}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::testing::Cluster;

    #[test]
    fn ranges() {
        let range = |text: &str| Range::parse(text).unwrap();
        assert_eq!(range("10.42.3.7/16").to_string(), "10.42.0.0/16");
        assert_eq!(
            range("fd00::1:0:0:5/64").to_string(),
            "fd00:0:0:0::/64"
                .parse::<String>()
                .map(|_| "fd00::/64")
                .unwrap()
        );
        assert!(range("10.42.0.0/16").overlaps(&range("10.42.255.0/24")));
        assert!(!range("10.42.0.0/24").overlaps(&range("10.42.1.0/24")));
        assert!(range("0.0.0.0/0").overlaps(&range("10.42.1.0/24")));
        assert_eq!(Range::parse("10.42.0.0/33"), None);
        assert_eq!(Range::parse("10.42.0.0"), None);
    }

    fn cidr(cluster: &Cluster, node: &str) -> String {
        let node = cluster.api.get("nodes", "", node).unwrap();
        assert_eq!(node["spec"]["podCIDRs"][0], node["spec"]["podCIDR"]);
        node["spec"]["podCIDR"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_get_ranges_of_their_own() {
        let options = Options {
            cluster_cidrs: vec!["10.42.0.0/22".into()],
            service_cidrs: vec!["10.42.1.0/24".into()],
            ..Options::default()
        };
        let cluster = Cluster::start_with(&["node-ipam-controller"], options);
        cluster.api.create("nodes", json!({"metadata": {"name": "old"}, "spec": {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"]}}));
        for name in ["one", "two"] {
            cluster
                .api
                .create("nodes", json!({"metadata": {"name": name}, "spec": {}}));
        }
        cluster.settle().await;
        let mut given = [cidr(&cluster, "one"), cidr(&cluster, "two")];
        given.sort();
        assert_eq!(given, ["10.42.2.0/24", "10.42.3.0/24"]);
        cluster
            .api
            .create("nodes", json!({"metadata": {"name": "late"}, "spec": {}}));
        cluster.settle().await;
        assert_eq!(cidr(&cluster, "late"), "");
        assert!(
            cluster.events()[0]
                .starts_with("CIDRNotAvailable: Node late status is now: CIDRNotAvailable")
        );
        cluster.api.remove("nodes", "", "old");
        cluster.pass(2000).await;
        assert_eq!(cidr(&cluster, "late"), "10.42.0.0/24");
    }
}
