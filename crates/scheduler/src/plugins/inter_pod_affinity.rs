//! InterPodAffinity: pods near to or far from other pods.
//!
//! Follows pkg/scheduler/framework/plugins/interpodaffinity. Which placed pods
//! match the pod's terms comes from the cluster's counters, and which terms of
//! placed pods speak of the pod from its terms; pods are never walked over.

use std::sync::Arc;

use crate::affinity::{AffinityTerm, matches_all};
use crate::cluster::{Cluster, Column, ColumnId, CounterKey, NodeId, Role};
use crate::config::Config;
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Rejection};
use crate::pod::PodInfo;

const AFFINITY: u64 = 1;
const ANTI_AFFINITY: u64 = 1 << 1;
const EXISTING_ANTI_AFFINITY: u64 = 1 << 2;

/// The plugin.
pub struct InterPodAffinity {
    ignore_preferred_terms_of_existing_pods: bool,
    /// Domains with pods that keep the pod away.
    forbidden: Weights,
    /// Domains with pods that the pod keeps away from.
    avoided: Weights,
    /// Domains with pods that match all that the pod wants to be near.
    wanted: Weights,
    /// The topologies that the pod's required terms speak of.
    wanted_columns: Vec<ColumnId>,
    /// The pod is the first of those that it wants to be near.
    first: bool,
    preferred: Weights,
}

/// A weight for each domain of several topologies.
#[derive(Default)]
struct Weights(Vec<(ColumnId, Vec<i64>)>);

impl InterPodAffinity {
    /// The plugin as configured.
    pub fn new(config: &Config) -> Self {
        Self {
            ignore_preferred_terms_of_existing_pods: config.ignore_preferred_terms_of_existing_pods,
            forbidden: Weights::default(),
            avoided: Weights::default(),
            wanted: Weights::default(),
            wanted_columns: Vec::new(),
            first: false,
            preferred: Weights::default(),
        }
    }

    fn gather_wanted(&mut self, cluster: &mut Cluster, pod: &PodInfo) {
        self.wanted.clear();
        self.wanted_columns.clear();
        let terms = &pod.shape.affinity.required;
        if terms.is_empty() {
            return;
        }
        let counter = cluster.counter(CounterKey::AllOf(Arc::clone(terms)));
        for term in terms.iter() {
            let column = cluster.ensure_column(&term.topology_key);
            self.wanted_columns.push(column);
            self.wanted
                .add(cluster, column, counted(cluster, counter, 1));
        }
        let namespace = cluster.namespaces().of(pod);
        self.first = self.wanted.is_empty() && matches_all(terms, namespace, &pod.labels);
    }

    /// Terms of placed pods, with the weights of those pods.
    fn gather_terms(cluster: &mut Cluster, role: Role, pod: &PodInfo, into: &mut Weights) {
        if !cluster.has_terms() {
            return;
        }
        let speaking = cluster.terms_about(role, pod);
        let terms: Vec<Arc<AffinityTerm>> = speaking.map(|entry| Arc::clone(&entry.term)).collect();
        let columns: Vec<ColumnId> = terms
            .iter()
            .map(|term| cluster.ensure_column(&term.topology_key))
            .collect();
        for (entry, column) in cluster.terms_about(role, pod).zip(columns) {
            into.add(cluster, column, entry.nodes());
        }
    }

    fn is_near_wanted(&self, cluster: &Cluster, node: NodeId) -> bool {
        let mut all_near = true;
        for &column in &self.wanted_columns {
            if cluster.column(column).value(node) == Column::ABSENT {
                return false;
            }
            all_near &= self.wanted.of_topology(cluster, column, node) > 0;
        }
        all_near || self.first
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        self.forbidden.clear();
        Self::gather_terms(cluster, Role::Forbids, pod, &mut self.forbidden);
        self.gather_wanted(cluster, pod);
        self.avoided.clear();
        for term in &pod.shape.affinity.required_anti {
            gather_term(cluster, term, 1, &mut self.avoided);
        }
        let idle =
            self.forbidden.is_empty() && self.wanted_columns.is_empty() && self.avoided.is_empty();
        if idle {
            PreFilter::Skip
        } else {
            PreFilter::Run
        }
    }

    fn filter(&self, cluster: &Cluster, _pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let rejection = |code, reasons| Some(Rejection { code, reasons });
        if !self.is_near_wanted(cluster, node) {
            return rejection(Code::UnschedulableAndUnresolvable, AFFINITY);
        }
        if self.avoided.any(cluster, node) {
            return rejection(Code::Unschedulable, ANTI_AFFINITY);
        }
        if self.forbidden.any(cluster, node) {
            return rejection(Code::Unschedulable, EXISTING_ANTI_AFFINITY);
        }
        None
    }

    fn reason(&self, _pod: &PodInfo, number: u32) -> String {
        match 1 << number {
            AFFINITY => "node(s) didn't match pod affinity rules",
            ANTI_AFFINITY => "node(s) didn't match pod anti-affinity rules",
            _ => "node(s) didn't satisfy existing pods anti-affinity rules",
        }
        .into()
    }

    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        self.preferred.clear();
        let own = &pod.shape.affinity.preferred;
        if own.is_empty() && self.ignore_preferred_terms_of_existing_pods {
            return false;
        }
        for (term, weight) in own {
            gather_term(cluster, term, *weight, &mut self.preferred);
        }
        Self::gather_terms(cluster, Role::Scores, pod, &mut self.preferred);
        !self.preferred.is_empty()
    }

    fn score(&self, cluster: &Cluster, _pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        for (score, node) in scores.iter_mut().zip(nodes) {
            *score = self.preferred.sum(cluster, *node);
        }
    }

    fn normalize(&self, scores: &mut [i64]) {
        let min = scores.iter().copied().min().unwrap_or_default();
        let max = scores.iter().copied().max().unwrap_or_default();
        let range = (max - min) as f64;
        for score in scores {
            let above = (*score - min) as f64;
            *score = if range > 0.0 {
                (MAX_NODE_SCORE as f64 * (above / range)) as i64
            } else {
                0
            };
        }
    }

    fn events(&self) -> Events {
        Events::POD_ADD
            | Events::POD_DELETE
            | Events::POD_LABEL
            | Events::OWN_LABEL
            | Events::NODE_ADD
            | Events::NODE_LABEL
            | Events::NAMESPACE_LABEL
    }

    fn hint(&self, cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Pod { old, new } => Hint::queue_if(pod_matters(cluster, pod, old, new)),
            Change::Node { new: Some(new), .. } => {
                let affinity = &pod.shape.affinity;
                // Without required terms it was others' terms that kept the pod
                // away, and any new place may be free of them.
                let mut keys = affinity.required_keys();
                let labelled = keys.any(|key| new.label(key).is_some());
                Hint::queue_if(labelled || affinity.required_keys().next().is_none())
            }
            Change::Node { .. } => Hint::Skip,
            Change::Own | Change::Namespace => Hint::Queue,
        }
    }
}

/// Adds the nodes with pods that match a term of the pod at hand.
fn gather_term(cluster: &mut Cluster, term: &Arc<AffinityTerm>, weight: i64, into: &mut Weights) {
    let counter = cluster.counter(CounterKey::One(Arc::clone(term)));
    let column = cluster.ensure_column(&term.topology_key);
    into.add(cluster, column, counted(cluster, counter, weight));
}

fn counted(cluster: &Cluster, counter: usize, weight: i64) -> impl Iterator<Item = (NodeId, i64)> {
    let nodes = cluster.counted(counter);
    nodes.map(move |(node, pods)| (node, i64::from(pods) * weight))
}

impl Weights {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds weights of nodes to the domains that they are in.
    fn add(
        &mut self,
        cluster: &Cluster,
        column: ColumnId,
        nodes: impl Iterator<Item = (NodeId, i64)>,
    ) {
        for (node, weight) in nodes {
            let value = cluster.column(column).value(node);
            if value != Column::ABSENT {
                self.topology(cluster, column)[value as usize] += weight;
            }
        }
    }

    fn topology(&mut self, cluster: &Cluster, column: ColumnId) -> &mut Vec<i64> {
        let at = match self.0.iter().position(|(have, _)| *have == column) {
            Some(at) => at,
            None => {
                let bound = cluster.column(column).bound();
                self.0.push((column, vec![0; bound]));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    fn of_topology(&self, cluster: &Cluster, column: ColumnId, node: NodeId) -> i64 {
        let value = cluster.column(column).value(node) as usize;
        let found = self.0.iter().find(|(have, _)| *have == column);
        found
            .and_then(|(_, weights)| weights.get(value).copied())
            .unwrap_or_default()
    }

    /// Whether any topology has something where the node is.
    fn any(&self, cluster: &Cluster, node: NodeId) -> bool {
        self.0.iter().any(|(column, weights)| {
            let value = cluster.column(*column).value(node) as usize;
            weights.get(value).is_some_and(|weight| *weight > 0)
        })
    }

    fn sum(&self, cluster: &Cluster, node: NodeId) -> i64 {
        let weights = self.0.iter().map(|(column, weights)| {
            let value = cluster.column(*column).value(node) as usize;
            weights.get(value).copied().unwrap_or_default()
        });
        weights.sum()
    }
}

fn pod_matters(
    cluster: &Cluster,
    pod: &PodInfo,
    old: Option<&PodInfo>,
    new: Option<&PodInfo>,
) -> bool {
    let namespaces = cluster.namespaces();
    let affinity = &pod.shape.affinity;
    let is_wanted = |other: Option<&PodInfo>| {
        other.is_some_and(|other| {
            matches_all(&affinity.required, namespaces.of(other), &other.labels)
        })
    };
    let is_avoided = |other: Option<&PodInfo>| {
        other.is_some_and(|other| {
            let mut terms = affinity.required_anti.iter();
            terms.any(|term| term.matches(namespaces.of(other), &other.labels))
        })
    };
    let forbids = |other: Option<&PodInfo>| {
        other.is_some_and(|other| {
            let mut terms = other.shape.affinity.required_anti.iter();
            terms.any(|term| term.matches(namespaces.of(pod), &pod.labels))
        })
    };
    !is_wanted(old) && is_wanted(new)
        || is_avoided(old) && !is_avoided(new)
        || forbids(old) && !forbids(new)
}

#[cfg(test)]
mod tests;
