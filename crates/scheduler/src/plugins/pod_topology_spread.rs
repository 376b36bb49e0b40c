//! PodTopologySpread: pods of a kind lie evenly over zones, hosts or whatever
//! topology their constraints name.
//!
//! Follows pkg/scheduler/framework/plugins/podtopologyspread. The number of
//! matching pods of each domain comes from the cluster's counters; pods are
//! never walked over.

use std::sync::Arc;

use crate::cluster::{Cluster, Column, ColumnId, CounterId, CounterKey, NodeId};
use crate::config::Config;
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Rejection};
use crate::node::{LABEL_HOSTNAME, NodeInfo};
use crate::pod::PodInfo;
use crate::spread::SpreadConstraint;
use crate::taint::hard_taints_tolerated;

const MISSING_LABEL: u64 = 1;
const TOO_UNEVEN: u64 = 1 << 1;
/// The score of a node that lacks a label; normalized to nothing.
const IGNORED: i64 = -1;

/// The plugin.
pub struct PodTopologySpread {
    spread_by_default: bool,
    hard: Vec<Domains>,
    soft: Vec<Domains>,
    soft_columns: Vec<ColumnId>,
    /// Whether only nodes with all topology labels are scored.
    require_all: bool,
}

/// A constraint and the matching pods of its domains.
struct Domains {
    constraint: SpreadConstraint,
    column: ColumnId,
    counter: CounterId,
    /// By value: matching pods, or [`Domains::NONE`] where no node counts.
    counts: Vec<i64>,
    /// What the pod itself would add.
    own: i64,
    /// The fewest matching pods of any domain.
    least: i64,
    weight: f64,
}

impl PodTopologySpread {
    /// The plugin as configured.
    pub fn new(config: &Config) -> Self {
        Self {
            spread_by_default: config.spread_by_default,
            hard: Vec::new(),
            soft: Vec::new(),
            soft_columns: Vec::new(),
            require_all: true,
        }
    }

    fn soft_constraints(&mut self, cluster: &mut Cluster, pod: &PodInfo) -> Vec<SpreadConstraint> {
        self.require_all = !pod.shape.spread.is_empty();
        if self.require_all || !self.spread_by_default {
            let stated = pod.shape.spread.iter().filter(|c| !c.required);
            return stated.cloned().collect();
        }
        match cluster.workloads.siblings(pod) {
            Some(selector) => SpreadConstraint::system_defaults(&selector).into(),
            None => Vec::new(),
        }
    }
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        self.hard.clear();
        for constraint in pod.shape.spread.iter().filter(|c| c.required) {
            let mut domains = Domains::new(cluster, pod, constraint.clone());
            domains.close_all(cluster);
            self.hard.push(domains);
        }
        if self.hard.is_empty() {
            return PreFilter::Skip;
        }
        let columns = columns(&self.hard);
        let labelled = |id: NodeId| has_all_labels(cluster, &columns, id);
        for domains in &mut self.hard {
            for &id in cluster.nodes().iter().filter(|id| labelled(**id)) {
                domains.open(cluster, pod, id);
            }
            domains.fill(cluster, pod, labelled);
            domains.find_least();
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, _pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        for domains in &self.hard {
            let value = cluster.column(domains.column).value(node);
            if value == Column::ABSENT {
                return Some(Rejection {
                    code: Code::UnschedulableAndUnresolvable,
                    reasons: MISSING_LABEL,
                });
            }
            let here = domains.counts.get(value as usize).copied();
            let here = here.unwrap_or_default().max(0);
            if here + domains.own - domains.least > domains.constraint.max_skew {
                return Some(Rejection {
                    code: Code::Unschedulable,
                    reasons: TOO_UNEVEN,
                });
            }
        }
        None
    }

    fn reason(&self, _pod: &PodInfo, number: u32) -> String {
        let reason = "node(s) didn't match pod topology spread constraints";
        if 1 << number == MISSING_LABEL {
            return format!("{reason} (missing required label)");
        }
        reason.into()
    }

    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, nodes: &[NodeId]) -> bool {
        self.soft.clear();
        for constraint in self.soft_constraints(cluster, pod) {
            let mut domains = Domains::new(cluster, pod, constraint);
            if !domains.is_hostname() {
                domains.close_all(cluster);
            }
            self.soft.push(domains);
        }
        if self.soft.is_empty() {
            return false;
        }
        self.soft_columns = columns(&self.soft);
        let labelled =
            |id: NodeId| !self.require_all || has_all_labels(cluster, &self.soft_columns, id);
        for domains in &mut self.soft {
            let candidates = nodes.iter().copied().filter(|id| labelled(*id));
            let size = if domains.is_hostname() {
                candidates.count()
            } else {
                let column = cluster.column(domains.column);
                candidates.for_each(|id| domains.mark(column.value(id) as usize));
                domains.fill(cluster, pod, labelled);
                domains.open_count()
            };
            domains.weight = ((size + 2) as f64).ln();
        }
        true
    }

    fn score(&self, cluster: &Cluster, _pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        for (score, &id) in scores.iter_mut().zip(nodes) {
            *score = if self.require_all && !has_all_labels(cluster, &self.soft_columns, id) {
                IGNORED
            } else {
                let parts = self.soft.iter().map(|domains| domains.score(cluster, id));
                parts.sum::<f64>().round() as i64
            };
        }
    }

    /// Few matching pods are good: the scores are turned round.
    fn normalize(&self, scores: &mut [i64]) {
        let valid = || scores.iter().copied().filter(|score| *score != IGNORED);
        let min = valid().min().unwrap_or_default();
        let max = valid().max().unwrap_or_default();
        for score in scores {
            *score = match *score {
                IGNORED => 0,
                _ if max == 0 => MAX_NODE_SCORE,
                score => MAX_NODE_SCORE * (max + min - score) / max,
            };
        }
    }

    fn events(&self) -> Events {
        Events::POD_ADD
            | Events::POD_DELETE
            | Events::POD_LABEL
            | Events::OWN_LABEL
            | Events::NODE_ADD
            | Events::NODE_DELETE
            | Events::NODE_LABEL
            | Events::NODE_TAINT
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Pod { old, new } => Hint::queue_if(pod_matters(pod, old, new)),
            Change::Node { old, new } => Hint::queue_if(node_matters(pod, old, new)),
            Change::Own => Hint::Queue,
            Change::Namespace => Hint::Skip,
        }
    }
}

impl Domains {
    const NONE: i64 = -1;

    fn new(cluster: &mut Cluster, pod: &PodInfo, constraint: SpreadConstraint) -> Self {
        let namespace = Arc::clone(&pod.namespace);
        let key = CounterKey::Spread(namespace, Arc::clone(&constraint.selector));
        let column = cluster.ensure_column(&constraint.topology_key);
        Self {
            column,
            counter: cluster.counter(key),
            counts: Vec::new(),
            own: constraint.selector.matches(&pod.labels).into(),
            least: 0,
            weight: 0.0,
            constraint,
        }
    }

    /// Makes room to count, with no domain counting yet. Hosts need none when
    /// they are scored: each has its own count.
    fn close_all(&mut self, cluster: &Cluster) {
        let bound = cluster.column(self.column).bound();
        self.counts.resize(bound, Self::NONE);
    }

    fn is_hostname(&self) -> bool {
        &*self.constraint.topology_key == LABEL_HOSTNAME
    }

    /// Makes the domain of a node count, if the node is one that counts.
    fn open(&mut self, cluster: &Cluster, pod: &PodInfo, id: NodeId) {
        if self.includes(cluster, pod, id) {
            self.mark(cluster.column(self.column).value(id) as usize);
        }
    }

    fn mark(&mut self, value: usize) {
        if let Some(count) = self.counts.get_mut(value) {
            *count = (*count).max(0);
        }
    }

    /// Adds the pods of nodes that count to domains that count.
    fn fill(&mut self, cluster: &Cluster, pod: &PodInfo, labelled: impl Fn(NodeId) -> bool) {
        for (id, pods) in cluster.counted(self.counter) {
            if !labelled(id) {
                continue;
            }
            let value = cluster.column(self.column).value(id);
            if value == Column::ABSENT || !self.includes(cluster, pod, id) {
                continue;
            }
            if let Some(count) = self.counts.get_mut(value as usize)
                && *count != Self::NONE
            {
                *count += i64::from(pods);
            }
        }
    }

    fn find_least(&mut self) {
        let open = self
            .counts
            .iter()
            .copied()
            .filter(|count| *count != Self::NONE);
        self.least = open.min().unwrap_or_default();
        if self.open_count() < self.constraint.min_domains {
            self.least = 0;
        }
    }

    fn open_count(&self) -> usize {
        self.counts
            .iter()
            .filter(|count| **count != Self::NONE)
            .count()
    }

    /// Whether a node counts, by the constraint's inclusion policies.
    fn includes(&self, cluster: &Cluster, pod: &PodInfo, id: NodeId) -> bool {
        let constraint = &self.constraint;
        let selection = pod.shape.node_selection.as_ref();
        let selection = selection.filter(|_| constraint.honor_affinity);
        if selection.is_none() && !constraint.honor_taints {
            return true;
        }
        let Some(node) = cluster.node(id) else {
            return false;
        };
        selection.is_none_or(|selection| selection.matches(node))
            && (!constraint.honor_taints
                || hard_taints_tolerated(&pod.shape.tolerations, &node.taints))
    }

    /// What this constraint adds to a node's score: the more matching pods its
    /// domain has, and the more domains there are, the more.
    fn score(&self, cluster: &Cluster, id: NodeId) -> f64 {
        let value = cluster.column(self.column).value(id);
        if value == Column::ABSENT {
            return 0.0;
        }
        let count = if self.is_hostname() {
            i64::from(cluster.counted_on(self.counter, id))
        } else {
            self.counts
                .get(value as usize)
                .map_or(0, |count| (*count).max(0))
        };
        count as f64 * self.weight + (self.constraint.max_skew - 1) as f64
    }
}

fn columns(all: &[Domains]) -> Vec<ColumnId> {
    all.iter().map(|domains| domains.column).collect()
}

fn has_all_labels(cluster: &Cluster, columns: &[ColumnId], id: NodeId) -> bool {
    let mut columns = columns.iter().map(|column| cluster.column(*column));
    columns.all(|column| column.value(id) != Column::ABSENT)
}

fn required(pod: &PodInfo) -> impl Iterator<Item = &SpreadConstraint> {
    pod.shape
        .spread
        .iter()
        .filter(|constraint| constraint.required)
}

fn pod_matters(pod: &PodInfo, old: Option<&PodInfo>, new: Option<&PodInfo>) -> bool {
    let same_namespace = |other: &PodInfo| other.namespace == pod.namespace;
    let matches = |other: Option<&PodInfo>, constraint: &SpreadConstraint| {
        other.is_some_and(|other| constraint.selector.matches(&other.labels))
    };
    old.or(new).is_some_and(same_namespace)
        && required(pod).any(|constraint| matches(old, constraint) != matches(new, constraint))
}

fn node_matters(pod: &PodInfo, old: Option<&NodeInfo>, new: Option<&NodeInfo>) -> bool {
    let labelled = |node: Option<&NodeInfo>| {
        node.is_some_and(|node| required(pod).all(|c| node.label(&c.topology_key).is_some()))
    };
    let value = |node: Option<&NodeInfo>, key: &str| {
        node.and_then(|node| node.label(key)).map(str::to_owned)
    };
    let (was, is) = (labelled(old), labelled(new));
    let (Some(before), Some(after)) = (old, new) else {
        return was || is;
    };
    was != is
        || is && required(pod).any(|c| value(old, &c.topology_key) != value(new, &c.topology_key))
        || is && before.taints != after.taints && required(pod).any(|c| c.honor_taints)
}

#[cfg(test)]
mod tests;
