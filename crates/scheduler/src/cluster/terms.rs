//! The affinity terms of placed pods, each kept once with the nodes of the pods
//! that have it.
//!
//! A pod to be placed asks which terms speak of it; the pairs of its labels
//! lead there, so that pods with unrelated terms cost nothing.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Namespaces, NodeId};
use crate::affinity::AffinityTerm;
use crate::pod::PodInfo;

/// What a term means for the pod that it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The pod may not come near.
    Forbids,
    /// The pod should come near, or should not.
    Scores,
}

/// All terms of placed pods.
#[derive(Debug, Default)]
pub struct Terms {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    by_key: FxHashMap<(Role, Arc<AffinityTerm>), usize>,
    by_pair: FxHashMap<u64, Vec<usize>>,
    general: Vec<usize>,
}

/// One term and the nodes whose pods have it.
#[derive(Debug)]
pub struct Entry {
    role: Role,
    pub term: Arc<AffinityTerm>,
    /// By node: how many pods, and the sum of their weights.
    nodes: FxHashMap<NodeId, (u32, i64)>,
}

impl Entry {
    /// The nodes, each with the sum of the weights of its pods.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, i64)> {
        self.nodes
            .iter()
            .map(|(node, (_, weight))| (*node, *weight))
    }
}

impl Terms {
    /// A pod came to a node. Required terms score with `hard_weight`.
    pub fn add(&mut self, pod: &PodInfo, node: NodeId, hard_weight: i64) {
        for_each_term(pod, hard_weight, |role, term, weight| {
            let id = self.ensure(role, term);
            if let Some(entry) = &mut self.entries[id] {
                let (pods, sum) = entry.nodes.entry(node).or_default();
                *pods += 1;
                *sum += weight;
            }
        });
    }

    /// A pod left a node.
    pub fn remove(&mut self, pod: &PodInfo, node: NodeId, hard_weight: i64) {
        for_each_term(pod, hard_weight, |role, term, weight| {
            let Some(&id) = self.by_key.get(&(role, Arc::clone(term))) else {
                return;
            };
            let Some(entry) = &mut self.entries[id] else {
                return;
            };
            if let Some((pods, sum)) = entry.nodes.get_mut(&node) {
                *pods -= 1;
                *sum -= weight;
                if *pods == 0 {
                    entry.nodes.remove(&node);
                }
            }
            if entry.nodes.is_empty() {
                self.forget(id);
            }
        });
    }

    /// The terms with a role that speak of a pod.
    pub fn matching<'a>(
        &'a self,
        role: Role,
        pod: &'a PodInfo,
        namespaces: &'a Namespaces,
    ) -> impl Iterator<Item = &'a Entry> {
        let pairs = pod.labels.hashes().iter();
        let by_pair = pairs.filter_map(|pair| self.by_pair.get(pair)).flatten();
        let candidates = by_pair.chain(&self.general);
        let entries = candidates.filter_map(|&id| self.entries[id].as_ref());
        entries.filter(move |entry| {
            entry.role == role && entry.term.matches(namespaces.of(pod), &pod.labels)
        })
    }

    /// Whether no pod has a term.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn ensure(&mut self, role: Role, term: &Arc<AffinityTerm>) -> usize {
        let key = (role, Arc::clone(term));
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        let id = self.free.pop().unwrap_or(self.entries.len());
        if id == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[id] = Some(Entry {
            role,
            term: Arc::clone(term),
            nodes: FxHashMap::default(),
        });
        self.by_key.insert(key, id);
        match term.required_pair() {
            Some(pair) => self.by_pair.entry(pair).or_default().push(id),
            None => self.general.push(id),
        }
        id
    }

    fn forget(&mut self, id: usize) {
        let Some(entry) = self.entries[id].take() else {
            return;
        };
        self.free.push(id);
        match entry.term.required_pair() {
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
        self.by_key.remove(&(entry.role, entry.term));
    }
}

/// All terms of a pod with their roles and weights.
fn for_each_term(
    pod: &PodInfo,
    hard_weight: i64,
    mut apply: impl FnMut(Role, &Arc<AffinityTerm>, i64),
) {
    let affinity = &pod.shape.affinity;
    if affinity.is_empty() {
        return;
    }
    for term in &affinity.required_anti {
        apply(Role::Forbids, term, 1);
    }
    if hard_weight > 0 {
        for term in affinity.required.iter() {
            apply(Role::Scores, term, hard_weight);
        }
    }
    for (term, weight) in &affinity.preferred {
        apply(Role::Scores, term, *weight);
    }
}
