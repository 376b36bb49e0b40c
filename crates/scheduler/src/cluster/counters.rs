//! How many placed pods match a selector, by node, kept up to date.
//!
//! A counter is made the first time somebody asks, by a walk over all pods, and
//! from then on each pod that comes or goes touches the counters that it
//! matches. A cycle therefore never walks over pods.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Namespaces, NodeId};
use crate::affinity::{AffinityTerm, matches_all};
use crate::pod::PodInfo;
use crate::selector::Selector;

/// Beyond these, the quarter that was not asked for longest is forgotten.
const COUNTERS_MAX: usize = 4096;

/// Which pods are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CounterKey {
    /// Pods of one namespace that match and are not being deleted.
    Spread(Arc<str>, Arc<Selector>),
    /// Pods that match every term.
    AllOf(Arc<[Arc<AffinityTerm>]>),
    /// Pods that match the term.
    One(Arc<AffinityTerm>),
}

/// A counter; stays valid during the cycle that asked for it.
pub type CounterId = usize;

/// All counters.
#[derive(Debug, Default)]
pub struct Counters {
    entries: Vec<Option<Counter>>,
    free: Vec<CounterId>,
    by_key: FxHashMap<CounterKey, CounterId>,
    by_pair: FxHashMap<u64, Vec<CounterId>>,
    /// Those that require no particular pair.
    general: Vec<CounterId>,
    tick: u64,
}

#[derive(Debug)]
struct Counter {
    key: CounterKey,
    per_node: FxHashMap<NodeId, u32>,
    last_used: u64,
}

impl CounterKey {
    fn matches(&self, pod: &PodInfo, namespaces: &Namespaces) -> bool {
        match self {
            Self::Spread(namespace, selector) => {
                !pod.terminating && *pod.namespace == **namespace && selector.matches(&pod.labels)
            }
            Self::AllOf(terms) => matches_all(terms, namespaces.of(pod), &pod.labels),
            Self::One(term) => term.matches(namespaces.of(pod), &pod.labels),
        }
    }

    fn required_pair(&self) -> Option<u64> {
        match self {
            Self::Spread(_, selector) => selector.required_pair(),
            Self::AllOf(terms) => terms.iter().find_map(|term| term.required_pair()),
            Self::One(term) => term.required_pair(),
        }
    }

    fn depends_on_namespace_labels(&self) -> bool {
        match self {
            Self::Spread(..) => false,
            Self::AllOf(terms) => terms.iter().any(|t| t.depends_on_namespace_labels()),
            Self::One(term) => term.depends_on_namespace_labels(),
        }
    }
}

impl Counters {
    /// A new cycle begins: what it asks for stays until the next one.
    pub fn begin_cycle(&mut self) {
        self.tick += 1;
    }

    /// The counter of `key`, made from `pods` if there is none yet.
    pub fn ensure<'a>(
        &mut self,
        key: CounterKey,
        namespaces: &Namespaces,
        pods: impl Iterator<Item = (NodeId, &'a PodInfo)>,
    ) -> CounterId {
        if let Some(&id) = self.by_key.get(&key) {
            if let Some(counter) = &mut self.entries[id] {
                counter.last_used = self.tick;
            }
            return id;
        }
        if self.by_key.len() >= COUNTERS_MAX {
            self.forget_unused();
        }
        let mut per_node = FxHashMap::default();
        for (node, pod) in pods {
            if key.matches(pod, namespaces) {
                *per_node.entry(node).or_default() += 1;
            }
        }
        self.insert(Counter {
            key,
            per_node,
            last_used: self.tick,
        })
    }

    /// The nodes with matching pods, and how many each has.
    pub fn nodes(&self, id: CounterId) -> impl Iterator<Item = (NodeId, u32)> {
        let counter = self.entries.get(id).and_then(Option::as_ref);
        let nodes = counter.into_iter().flat_map(|counter| &counter.per_node);
        nodes.map(|(node, count)| (*node, *count))
    }

    /// How many matching pods a node has.
    pub fn on_node(&self, id: CounterId, node: NodeId) -> u32 {
        let counter = self.entries.get(id).and_then(Option::as_ref);
        let count = counter.and_then(|counter| counter.per_node.get(&node));
        count.copied().unwrap_or_default()
    }

    /// A pod came to a node.
    pub fn add(&mut self, pod: &PodInfo, node: NodeId, namespaces: &Namespaces) {
        self.touch(pod, namespaces, |per_node| {
            *per_node.entry(node).or_default() += 1;
        });
    }

    /// A pod left a node.
    pub fn remove(&mut self, pod: &PodInfo, node: NodeId, namespaces: &Namespaces) {
        self.touch(pod, namespaces, |per_node| {
            if let Some(count) = per_node.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    per_node.remove(&node);
                }
            }
        });
    }

    /// Forgets what a namespace's new labels may have made wrong.
    pub fn namespaces_changed(&mut self) {
        let stale = |counter: &Counter| counter.key.depends_on_namespace_labels();
        self.forget(stale);
    }

    fn touch(
        &mut self,
        pod: &PodInfo,
        namespaces: &Namespaces,
        mut change: impl FnMut(&mut FxHashMap<NodeId, u32>),
    ) {
        if self.by_key.is_empty() {
            return;
        }
        let pairs = pod.labels.hashes().iter();
        let by_pair = pairs.filter_map(|pair| self.by_pair.get(pair)).flatten();
        for &id in by_pair.chain(&self.general) {
            if let Some(counter) = &mut self.entries[id]
                && counter.key.matches(pod, namespaces)
            {
                change(&mut counter.per_node);
            }
        }
    }

    fn insert(&mut self, counter: Counter) -> CounterId {
        let (key, pair) = (counter.key.clone(), counter.key.required_pair());
        let id = self.free.pop().unwrap_or(self.entries.len());
        if id == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[id] = Some(counter);
        self.by_key.insert(key, id);
        match pair {
            Some(pair) => self.by_pair.entry(pair).or_default().push(id),
            None => self.general.push(id),
        }
        id
    }

    fn forget_unused(&mut self) {
        let counters = self.entries.iter().flatten();
        let mut used: Vec<u64> = counters.map(|counter| counter.last_used).collect();
        used.sort_unstable();
        let limit = used.get(used.len() / 4).copied().unwrap_or_default();
        let now = self.tick;
        self.forget(|counter| counter.last_used <= limit && counter.last_used < now);
    }

    fn forget(&mut self, which: impl Fn(&Counter) -> bool) {
        for id in 0..self.entries.len() {
            if self.entries[id].as_ref().is_some_and(&which)
                && let Some(counter) = self.entries[id].take()
            {
                self.unlink(&counter, id);
                self.free.push(id);
            }
        }
    }

    fn unlink(&mut self, counter: &Counter, id: CounterId) {
        self.by_key.remove(&counter.key);
        match counter.key.required_pair() {
            None => self.general.retain(|have| *have != id),
            Some(pair) => {
                if let Some(ids) = self.by_pair.get_mut(&pair) {
                    ids.retain(|have| *have != id);
                    if ids.is_empty() {
                        self.by_pair.remove(&pair);
                    }
                }
            }
        }
    }
}
