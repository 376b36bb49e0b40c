//! One search for a node: filter until enough nodes fit, score them, take one
//! of the best.
//!
//! Follows pkg/scheduler/schedule_one.go.

use std::sync::Arc;

use stdx::Rng;

use crate::class::Classes;
use crate::cluster::{Cluster, NodeId};
use crate::diagnosis::Diagnosis;
use crate::framework::{Framework, PluginSet, PreFiltered, Rejected};
use crate::pod::PodInfo;

/// Below this many nodes all are looked at.
const MIN_FEASIBLE_NODES: usize = 100;
/// The least share of nodes that a large cluster is searched for.
const MIN_PERCENTAGE: usize = 5;

/// What a search came to.
#[derive(Debug)]
pub enum Outcome {
    /// The pod goes here.
    Node(NodeId),
    /// The pod fits nowhere.
    Unfit(Box<Diagnosis>),
    /// There is no node at all.
    NoNodes,
}

/// Where the next search begins, and what searches use again.
#[derive(Debug, Default)]
pub struct Search {
    next_start: usize,
    classes: Classes,
    feasible: Vec<NodeId>,
    rejected: Vec<Rejected>,
    totals: Vec<i64>,
}

impl Search {
    /// Finds a node for a pod.
    pub fn run(
        &mut self,
        framework: &mut Framework,
        cluster: &mut Cluster,
        rng: &Rng,
        percentage: u32,
        pod: &Arc<PodInfo>,
    ) -> Outcome {
        cluster.begin_cycle();
        if cluster.nodes().is_empty() {
            return Outcome::NoNodes;
        }
        let (only, mut plugins) = match framework.run_pre_filter(cluster, pod) {
            PreFiltered::All => (None, PluginSet::default()),
            PreFiltered::Only(nodes, naming) => (Some(nodes), naming),
            PreFiltered::Rejected {
                code,
                message,
                plugins,
            } => {
                return Outcome::Unfit(Box::new(Diagnosis {
                    node_count: cluster.nodes().len(),
                    pre_filter: Some((code, message)),
                    plugins,
                    ..Diagnosis::default()
                }));
            }
        };
        let nodes = only.as_deref().unwrap_or(cluster.nodes());
        self.filter(framework, cluster, percentage, pod, nodes);
        match self.feasible[..] {
            [] => {
                let names = framework.names(plugins).join(" ");
                for rejected in &self.rejected {
                    plugins.insert(rejected.plugin);
                }
                Outcome::Unfit(Box::new(Diagnosis {
                    node_count: cluster.nodes().len(),
                    pre_filter: None,
                    rejected: std::mem::take(&mut self.rejected),
                    absent: only.map(|_| format!("node(s) didn't satisfy plugin(s) [{names}]")),
                    plugins,
                }))
            }
            [node] => Outcome::Node(node),
            _ => {
                let class = self.classes.of(&pod.shape);
                framework.run_score(class, cluster, pod, &self.feasible, &mut self.totals);
                Outcome::Node(self.select(rng))
            }
        }
    }

    /// Looks at nodes from where the last search stopped until enough fit.
    fn filter(
        &mut self,
        framework: &Framework,
        cluster: &Cluster,
        percentage: u32,
        pod: &PodInfo,
        nodes: &[NodeId],
    ) {
        self.feasible.clear();
        self.rejected.clear();
        let enough = feasible_nodes_to_find(percentage, nodes.len());
        let class = self.classes.of(&pod.shape);
        let start = if nodes.is_empty() {
            0
        } else {
            self.next_start % nodes.len()
        };
        for &node in nodes[start..].iter().chain(&nodes[..start]) {
            if self.feasible.len() >= enough {
                break;
            }
            match framework.run_filter_of_class(class, cluster, pod, node) {
                Ok(()) => self.feasible.push(node),
                Err(rejected) => self.rejected.push(rejected),
            }
        }
        let looked_at = self.feasible.len() + self.rejected.len();
        self.next_start = (self.next_start + looked_at) % cluster.nodes().len();
    }

    /// One of the best, each as likely as the other.
    fn select(&self, rng: &Rng) -> NodeId {
        let best = self.totals.iter().max();
        let scored = self.feasible.iter().zip(&self.totals);
        let mut best = scored.filter(|(_, total)| Some(*total) == best);
        let count = best.clone().count() as u64;
        let chosen = best.nth(rng.below(count) as usize);
        chosen.map_or(self.feasible[0], |(node, _)| *node)
    }
}

/// How many nodes that fit are enough to choose from.
fn feasible_nodes_to_find(percentage: u32, nodes: usize) -> usize {
    if nodes < MIN_FEASIBLE_NODES {
        return nodes;
    }
    let percentage = match percentage as usize {
        0 => 50usize.saturating_sub(nodes / 125).max(MIN_PERCENTAGE),
        stated => stated.min(100),
    };
    (nodes * percentage / 100).max(MIN_FEASIBLE_NODES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_clusters_are_searched_in_part() {
        for (percentage, nodes, want) in [
            (0, 10, 10),
            (40, 10, 10),
            (0, 1000, 420),
            (40, 1000, 400),
            (0, 6000, 300),
            (40, 6000, 2400),
            (0, 100, 100),
            (0, 300, 144),
            (200, 1000, 1000),
        ] {
            let got = feasible_nodes_to_find(percentage, nodes);
            assert_eq!(got, want, "{percentage} % of {nodes}");
        }
    }
}
