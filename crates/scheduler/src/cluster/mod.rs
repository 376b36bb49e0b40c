//! The cluster as a database: columns of capacity and topology, counters of
//! pods by selector, terms by pod, images by node; all updated by events, so
//! that a cycle reads and never gathers.
//!
//! A pod that was decided is *assumed*: it counts at once, before the API
//! server has confirmed it. Follows pkg/scheduler/backend/cache.

mod capacity;
mod counters;
mod images;
mod order;
mod terms;
mod topology;
mod workloads;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use capacity::Capacity;
pub use counters::{CounterId, CounterKey};
pub use images::{Image, Images};
pub use terms::Role;
pub use topology::{Column, ColumnId};
pub use workloads::Workloads;

use crate::affinity::NamespaceRef;
use crate::labels::Labels;
use crate::node::NodeInfo;
use crate::pod::PodInfo;
use counters::Counters;
use order::Order;
use terms::Terms;
use topology::Topology;

/// The place of a node in every column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The place as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All that is known of nodes and placed pods.
#[derive(Debug, Default)]
pub struct Cluster {
    slots: Vec<Slot>,
    by_name: FxHashMap<Arc<str>, NodeId>,
    free: Vec<NodeId>,
    order: Order,
    pub(crate) capacity: Capacity,
    topology: Topology,
    pods: FxHashMap<Arc<str>, Placed>,
    counters: Counters,
    terms: Terms,
    pub(crate) images: Images,
    namespaces: Namespaces,
    pub(crate) workloads: Workloads,
    /// How many placed pods have which priority.
    priorities: BTreeMap<i32, usize>,
    traits: Traits,
    hard_affinity_weight: i64,
    /// How often anything of a node or its pods changed, and by node the number
    /// of its last change.
    changes: u64,
    last_changes: Vec<u64>,
}

/// How many nodes have what keeps pods away, so that plugins can stand aside
/// when none has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    pub(crate) unschedulable: usize,
    pub(crate) hard_taints: usize,
    pub(crate) soft_taints: usize,
}

#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    /// None: pods are bound to a node that is not there.
    info: Option<Arc<NodeInfo>>,
    pods: Vec<Arc<PodInfo>>,
}

/// A pod that has its node.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// Its node.
    pub node: NodeId,
    /// Whether the API server has yet to confirm this.
    pub assumed: bool,
}

/// Labels of namespaces, by name.
#[derive(Debug, Default)]
pub struct Namespaces {
    labels: FxHashMap<Box<str>, Labels>,
}

impl Namespaces {
    /// A namespace as terms see it.
    pub fn get<'a>(&'a self, name: &'a str) -> NamespaceRef<'a> {
        NamespaceRef {
            name,
            labels: self.labels.get(name),
        }
    }

    /// The namespace of a pod.
    pub fn of<'a>(&'a self, pod: &'a PodInfo) -> NamespaceRef<'a> {
        self.get(&pod.namespace)
    }
}

impl Cluster {
    /// An empty cluster, in which required affinity of placed pods scores with
    /// the given weight.
    pub fn new(hard_affinity_weight: i64) -> Self {
        Self {
            hard_affinity_weight,
            ..Self::default()
        }
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.order.len()
    }

    /// All nodes in the order in which they are tried.
    pub fn nodes(&self) -> &[NodeId] {
        self.order.list()
    }

    /// Brings what a cycle reads up to date.
    pub fn begin_cycle(&mut self) {
        self.order.refresh();
        self.counters.begin_cycle();
        self.topology.begin_cycle();
    }

    /// A node that is there.
    pub fn node(&self, id: NodeId) -> Option<&NodeInfo> {
        self.slots.get(id.index())?.info.as_deref()
    }

    /// The name of a node, there or not.
    pub fn name_of(&self, id: NodeId) -> &str {
        self.slots.get(id.index()).map_or("", |slot| &slot.name)
    }

    /// The place of a node that is there.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let id = *self.by_name.get(name)?;
        self.node(id).map(|_| id)
    }

    /// The pods of a node.
    pub fn pods_on(&self, id: NodeId) -> &[Arc<PodInfo>] {
        self.slots.get(id.index()).map_or(&[], |slot| &slot.pods)
    }

    /// The number of the last change of a node or its pods. Numbers rise, and are
    /// those of one node only, even if another has its place later.
    pub fn last_change(&self, id: NodeId) -> u64 {
        self.last_changes[id.index()]
    }

    /// A pod that has its node.
    pub fn placed(&self, uid: &str) -> Option<&Placed> {
        self.pods.get(uid)
    }

    /// How many pods have their node.
    pub fn placed_count(&self) -> usize {
        self.pods.len()
    }

    /// How many placed pods have less than a priority.
    pub fn pods_below(&self, priority: i32) -> usize {
        self.priorities
            .range(..priority)
            .map(|(_, count)| count)
            .sum()
    }

    pub(crate) fn traits(&self) -> Traits {
        self.traits
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Adds or changes a node; returns what it was before.
    pub fn set_node(&mut self, node: Arc<NodeInfo>) -> Option<Arc<NodeInfo>> {
        let id = self.slot(&node.shared_name());
        let old = self.slots[id.index()].info.replace(Arc::clone(&node));
        self.node_changed(id, old.as_deref(), Some(&node));
        old
    }

    /// Removes a node; pods that are bound to it stay until they are deleted.
    pub fn remove_node(&mut self, name: &str) -> Option<Arc<NodeInfo>> {
        let id = *self.by_name.get(name)?;
        let old = self.slots[id.index()].info.take()?;
        self.node_changed(id, Some(&old), None);
        self.free_if_empty(id);
        Some(old)
    }

    /// Adds a pod with its node. A pod that is there already is replaced.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>, node: &str, assumed: bool) {
        let id = self.slot(&Arc::from(node));
        if let Some(placed) = self.pods.get_mut(&pod.uid) {
            if placed.node == id && placed.pod.same_needs(&pod) {
                placed.assumed = assumed;
                let old = std::mem::replace(&mut placed.pod, Arc::clone(&pod));
                self.replace_on_node(id, &old, pod);
                return;
            }
            let uid = Arc::clone(&pod.uid);
            self.remove_pod(&uid);
        }
        // The removal may have given the slot away.
        let id = self.slot(&Arc::from(node));
        self.account(&pod, id, 1);
        self.counters.add(&pod, id, &self.namespaces);
        self.terms.add(&pod, id, self.hard_affinity_weight);
        self.slots[id.index()].pods.push(Arc::clone(&pod));
        let placed = Placed {
            pod: Arc::clone(&pod),
            node: id,
            assumed,
        };
        self.pods.insert(Arc::clone(&pod.uid), placed);
    }

    /// Removes a pod; returns it with the name of its node.
    pub fn remove_pod(&mut self, uid: &str) -> Option<(Arc<PodInfo>, Arc<str>)> {
        let Placed { pod, node, .. } = self.pods.remove(uid)?;
        let slot = &mut self.slots[node.index()];
        let name = Arc::clone(&slot.name);
        slot.pods.retain(|have| have.uid != pod.uid);
        self.account(&pod, node, -1);
        self.counters.remove(&pod, node, &self.namespaces);
        self.terms.remove(&pod, node, self.hard_affinity_weight);
        self.free_if_empty(node);
        Some((pod, name))
    }

    /// Takes over a namespace's labels; `None` when it is gone. Returns whether
    /// anything changed.
    pub fn set_namespace(&mut self, name: &str, labels: Option<Labels>) -> bool {
        if self.namespaces.labels.get(name) == labels.as_ref() {
            return false;
        }
        match labels {
            Some(labels) => self.namespaces.labels.insert(name.into(), labels),
            None => self.namespaces.labels.remove(name),
        };
        self.counters.namespaces_changed();
        true
    }

    /// The counter of a key, made if there is none.
    pub(crate) fn counter(&mut self, key: CounterKey) -> CounterId {
        let pods = self.pods.values().map(|placed| (placed.node, &*placed.pod));
        self.counters.ensure(key, &self.namespaces, pods)
    }

    /// The nodes with pods that a counter counts.
    pub(crate) fn counted(&self, id: CounterId) -> impl Iterator<Item = (NodeId, u32)> {
        self.counters.nodes(id)
    }

    /// How many pods of a node a counter counts.
    pub(crate) fn counted_on(&self, id: CounterId, node: NodeId) -> u32 {
        self.counters.on_node(id, node)
    }

    /// Makes the column of a topology key.
    pub(crate) fn ensure_column(&mut self, key: &str) -> ColumnId {
        let slots = self.slots.iter().enumerate();
        let nodes = slots.filter_map(|(at, slot)| Some((NodeId(at as u32), slot.info.as_deref()?)));
        self.topology.ensure(key, nodes)
    }

    /// The column of a topology key that was made.
    pub(crate) fn column(&self, id: ColumnId) -> &Column {
        self.topology.column(id)
    }

    /// The terms of placed pods that speak of a pod.
    pub(crate) fn terms_about<'a>(
        &'a self,
        role: Role,
        pod: &'a PodInfo,
    ) -> impl Iterator<Item = &'a terms::Entry> {
        self.terms.matching(role, pod, &self.namespaces)
    }

    /// Whether any placed pod has a term.
    pub(crate) fn has_terms(&self) -> bool {
        !self.terms.is_empty()
    }

    fn slot(&mut self, name: &Arc<str>) -> NodeId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let slot = Slot {
            name: Arc::clone(name),
            info: None,
            pods: Vec::new(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.index()] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                self.last_changes.push(0);
                NodeId((self.slots.len() - 1) as u32)
            }
        };
        self.by_name.insert(Arc::clone(name), id);
        self.capacity.set(id, None);
        id
    }

    fn free_if_empty(&mut self, id: NodeId) {
        let slot = &self.slots[id.index()];
        if slot.info.is_none() && slot.pods.is_empty() && self.by_name.remove(&slot.name).is_some()
        {
            self.free.push(id);
        }
    }

    fn node_changed(&mut self, id: NodeId, old: Option<&NodeInfo>, new: Option<&NodeInfo>) {
        self.note_change(id);
        self.capacity.set(id, new);
        self.images.set(id, old, new);
        if old.map(NodeInfo::labels) != new.map(NodeInfo::labels) {
            self.topology.set(id, new);
        }
        self.order.set(id, old, new);
        if let Some(old) = old {
            self.traits.count(old, |count| *count -= 1);
        }
        if let Some(new) = new {
            self.traits.count(new, |count| *count += 1);
        }
    }

    fn note_change(&mut self, id: NodeId) {
        self.changes += 1;
        self.last_changes[id.index()] = self.changes;
    }

    fn account(&mut self, pod: &PodInfo, id: NodeId, sign: i64) {
        self.note_change(id);
        self.capacity.account(id, &pod.shape, sign);
        let priority = pod.priority();
        let count = self.priorities.entry(priority).or_default();
        *count = count.saturating_add_signed(sign as isize);
        if *count == 0 {
            self.priorities.remove(&priority);
        }
    }

    fn replace_on_node(&mut self, id: NodeId, old: &Arc<PodInfo>, new: Arc<PodInfo>) {
        let pods = &mut self.slots[id.index()].pods;
        if let Some(have) = pods.iter_mut().find(|have| Arc::ptr_eq(have, old)) {
            *have = new;
        }
    }
}

impl Traits {
    fn count(&mut self, node: &NodeInfo, change: impl Fn(&mut usize)) {
        if node.unschedulable {
            change(&mut self.unschedulable);
        }
        if node.taints.iter().any(|taint| taint.effect.is_hard()) {
            change(&mut self.hard_taints);
        }
        if node.taints.iter().any(|taint| !taint.effect.is_hard()) {
            change(&mut self.soft_taints);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::PodReader;
    use crate::testing::{node, pod, term};

    struct Fixture {
        cluster: Cluster,
        reader: PodReader,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                cluster: Cluster::new(1),
                reader: PodReader::default(),
            }
        }

        fn node(&mut self, node: crate::testing::NodeBuilder) -> NodeId {
            let info = Arc::new(NodeInfo::new(&node.build()).unwrap());
            let name = info.shared_name();
            self.cluster.set_node(info);
            self.cluster.begin_cycle();
            self.cluster.find(&name).unwrap()
        }

        fn pod(&mut self, pod: crate::testing::PodBuilder, node: &str) -> Arc<PodInfo> {
            let info = Arc::new(self.reader.read(&pod.build()).unwrap());
            self.cluster.add_pod(Arc::clone(&info), node, false);
            info
        }
    }

    #[test]
    fn pods_move_numbers_and_leave_none_behind() {
        let mut fixture = Fixture::new();
        let id = fixture.node(node("a"));
        let info = fixture.pod(pod("p").container("cpu=1,memory=10,x.y/gpu=2"), "a");
        fixture.pod(pod("p").container("cpu=2,memory=10"), "a");
        let requested = |cluster: &Cluster| {
            let capacity = &cluster.capacity;
            let gpu = capacity.scalar_index("x.y/gpu").unwrap();
            let gpu = capacity.scalar_at(gpu).requested[id.index()];
            let requested = &capacity.requested;
            (
                requested.milli_cpu[0],
                requested.memory[0],
                requested.pods[0],
                gpu,
            )
        };
        assert_eq!(requested(&fixture.cluster), (2000, 10, 1, 0));
        fixture.cluster.remove_pod(&info.uid);
        assert_eq!(requested(&fixture.cluster), (0, 0, 0, 0));
        assert!(fixture.cluster.priorities.is_empty());
    }

    #[test]
    fn pods_of_absent_nodes_wait_for_them() {
        let mut fixture = Fixture::new();
        let info = fixture.pod(pod("p").container("cpu=1"), "late");
        assert_eq!(fixture.cluster.node_count(), 0);
        let id = fixture.node(node("late"));
        assert_eq!(fixture.cluster.pods_on(id).len(), 1);
        fixture.cluster.remove_node("late");
        assert!(fixture.cluster.find("late").is_none());
        assert_eq!(fixture.cluster.placed_count(), 1);
        fixture.cluster.remove_pod(&info.uid);
        assert!(fixture.cluster.by_name.is_empty());
        let other = fixture.node(node("other"));
        assert_eq!(other, id, "the slot is used again");
        assert_eq!(fixture.cluster.capacity.requested.milli_cpu[0], 0);
    }

    #[test]
    fn counters_follow_pods() {
        let mut fixture = Fixture::new();
        let id = fixture.node(node("a"));
        fixture.pod(pod("p1").label("app", "web"), "a");
        let reader = &fixture.reader;
        let asking = pod("q").spread(1, "zone", true, "app=web").build();
        let asking = reader.read(&asking).unwrap();
        let constraint = &asking.shape.spread[0];
        let key = CounterKey::Spread(asking.namespace.clone(), constraint.selector.clone());
        let counter = fixture.cluster.counter(key.clone());
        assert_eq!(fixture.cluster.counted_on(counter, id), 1);
        let second = fixture.pod(pod("p2").label("app", "web"), "a");
        fixture.pod(pod("p3").label("app", "db"), "a");
        fixture.pod(pod("p4").label("app", "web").namespace("other"), "a");
        assert_eq!(fixture.cluster.counted_on(counter, id), 2);
        fixture.pod(pod("p1").label("app", "web").terminating(), "a");
        assert_eq!(fixture.cluster.counted_on(counter, id), 1);
        fixture.cluster.remove_pod(&second.uid);
        assert_eq!(fixture.cluster.counted(counter).count(), 0);
        assert_eq!(fixture.cluster.counter(key), counter);
    }

    #[test]
    fn terms_are_found_by_the_pods_that_they_speak_of() {
        let mut fixture = Fixture::new();
        let id = fixture.node(node("a"));
        let first = fixture.pod(pod("p").far(term("app=web", "zone")), "a");
        fixture.pod(pod("q").far(term("app=web", "zone")), "a");
        let web = fixture
            .reader
            .read(&pod("w").label("app", "web").build())
            .unwrap();
        let db = fixture
            .reader
            .read(&pod("d").label("app", "db").build())
            .unwrap();
        let found = |cluster: &Cluster, pod: &PodInfo| -> Vec<(NodeId, i64)> {
            let entries = cluster.terms_about(Role::Forbids, pod);
            entries
                .flat_map(|entry| entry.nodes().collect::<Vec<_>>())
                .collect()
        };
        assert_eq!(found(&fixture.cluster, &web), [(id, 2)]);
        assert_eq!(found(&fixture.cluster, &db), []);
        fixture.cluster.remove_pod(&first.uid);
        fixture.cluster.remove_pod("uid-q");
        assert!(!fixture.cluster.has_terms());
    }
}
