//! Every node has a range of pod addresses of its own. Follows
//! pkg/controller/nodeipam/ipam/range_allocator.go.

mod book;

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use book::{Book, Pool, Range};
use client::events::{NORMAL, Recorder};
use client::{Api, Patch};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        .map(|range| Pool::new(range, size(&range)))
        .collect();
    if pools.is_empty() {
        tracing::info!("no cluster CIDR is given: nodes get no ranges of pod addresses");
        return;
    }
    let nodes = context.factory.informer::<Node>();
    let queue = context.queue();
    let allocator = Arc::new(Allocator {
        nodes: nodes.store(),
        api: context.client.api(),
        recorder: context.recorder("cidrAllocator"),
        book: Mutex::new(Book::new(pools, &parse(&options.service_cidrs))),
    });
    let (changed, told) = (queue.clone(), allocator.clone());
    nodes.on_change(move |change: &Change<Node>| {
        let waiting = told.note(change).into_iter();
        waiting.for_each(|name| changed.add(ObjectKey::new("", &*name)));
        changed.add(ObjectKey::of(&**change.object()));
    });
    let synced = async move { nodes.synced().await };
    // One worker gives ranges in the order in which nodes ask.
    context.reconcile(queue, Workers::new(1), synced, allocator);
}

struct Allocator {
    nodes: Store<Node>,
    api: Api<Node>,
    recorder: Recorder,
    /// Who has what: as the cache shows it, with what was given to nodes until
    /// the cache shows that too.
    book: Mutex<Book>,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Allocator {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(node) = self.nodes.by_key(key) else {
            return Ok(Action::Done);
        };
        if node.is_deleting() || !ranges_of(&node).is_empty() {
            return Ok(Action::Done);
        }
        let promised = {
            let mut book = self.book();
            // The book forgets a node after the cache has: what is there now
            // will be forgotten when it goes.
            let is_there = |cached: Arc<Node>| cached.uid() == node.uid();
            if !self.nodes.by_key(key).is_some_and(is_there) {
                return Ok(Action::Done);
            }
            book.promise(node.name(), node.uid())
        };
        let Some(ranges) = promised else {
            let message = format!("Node {} status is now: CIDRNotAvailable", node.name());
            self.recorder.event(
                &node.object_reference(),
                NORMAL,
                "CIDRNotAvailable",
                message,
            );
            // The book tells when something is given back.
            return Ok(Action::Done);
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
    /// Keeps the book true to the cache. Gives the nodes that waited for what
    /// has become free.
    fn note(&self, change: &Change<Node>) -> BTreeSet<String> {
        let mut book = self.book();
        match &change.new {
            Some(node) => book.shows(node.name(), node.uid(), ranges_of(node)),
            None => book.forget(change.object().name()),
        }
        book.called()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::testing::Cluster;

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
