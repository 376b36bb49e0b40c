//! Why a pod would go where it would: every plugin's word on every node.
//!
//! A decision looks only at as many nodes as it needs, and keeps no record. This
//! looks at all of them and keeps everything, for people and for tests.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::framework::{Framework, PreFiltered};
use crate::pod::PodInfo;

/// What became of each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why no node was looked at, if a plugin refused the pod as such.
    pub refused: Option<String>,
    /// The nodes, by name.
    pub nodes: Vec<NodeVerdict>,
}

/// What the plugins say of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeVerdict {
    /// The node.
    pub node: String,
    /// The plugin that rejects it, and why.
    pub rejected: Option<(&'static str, Vec<String>)>,
    /// The weighted score of each plugin that scores.
    pub scores: Vec<(&'static str, i64)>,
}

impl NodeVerdict {
    /// The sum of all scores.
    pub fn total(&self) -> i64 {
        self.scores.iter().map(|(_, score)| score).sum()
    }
}

/// Asks all plugins about all nodes.
pub fn explain(
    framework: &mut Framework,
    cluster: &mut Cluster,
    pod: &Arc<PodInfo>,
) -> Explanation {
    cluster.begin_cycle();
    let only = match framework.run_pre_filter(cluster, pod) {
        PreFiltered::All => None,
        PreFiltered::Only(nodes, plugins) => Some((nodes, framework.names(plugins))),
        PreFiltered::Rejected { message, .. } => {
            return Explanation {
                refused: Some(message),
                nodes: Vec::new(),
            };
        }
    };
    let mut feasible = Vec::new();
    let mut nodes = Vec::new();
    for &id in cluster.nodes() {
        let rejected = match &only {
            Some((nodes, names)) if !nodes.contains(&id) => {
                let name = names.first().copied().unwrap_or_default();
                let why = format!("node(s) didn't satisfy plugin(s) [{}]", names.join(" "));
                Some((name, vec![why]))
            }
            _ => rejection(framework, cluster, pod, id),
        };
        if rejected.is_none() {
            feasible.push((nodes.len(), id));
        }
        nodes.push(NodeVerdict {
            node: cluster.name_of(id).to_owned(),
            rejected,
            scores: Vec::new(),
        });
    }
    add_scores(framework, cluster, pod, &feasible, &mut nodes);
    nodes.sort_by(|a, b| a.node.cmp(&b.node));
    Explanation {
        refused: None,
        nodes,
    }
}

fn rejection(
    framework: &Framework,
    cluster: &Cluster,
    pod: &PodInfo,
    id: NodeId,
) -> Option<(&'static str, Vec<String>)> {
    let rejected = framework.run_filter(cluster, pod, id).err()?;
    let reasons = framework.reasons(pod, rejected.plugin, rejected.rejection.reasons);
    Some((framework.name(rejected.plugin), reasons.collect()))
}

fn add_scores(
    framework: &mut Framework,
    cluster: &mut Cluster,
    pod: &Arc<PodInfo>,
    feasible: &[(usize, NodeId)],
    nodes: &mut [NodeVerdict],
) {
    let ids: Vec<NodeId> = feasible.iter().map(|(_, id)| *id).collect();
    let mut by_plugin = Vec::new();
    framework.each_score(cluster, pod, &ids, |plugin, scores| {
        by_plugin.push((plugin, scores.to_vec()));
    });
    for (plugin, scores) in by_plugin {
        let name = framework.name(plugin);
        for ((place, _), score) in feasible.iter().zip(scores) {
            nodes[*place].scores.push((name, score));
        }
    }
}
