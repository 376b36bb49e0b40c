//! One plugin on a bench: nodes and pods in, verdicts and scores out.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::config::Config;
use crate::event::Event;
use crate::framework::{Code, Hint, Plugin, PreFilter};
use crate::labels::Labels;
use crate::node::NodeInfo;
use crate::pod::{PodInfo, PodReader};
use crate::testing::{NodeBuilder, PodBuilder};

/// A cluster and one plugin.
pub struct Bench {
    pub cluster: Cluster,
    reader: PodReader,
    plugin: Box<dyn Plugin>,
    nodes: Vec<NodeId>,
}

/// Accepted, or the code and the reasons.
pub type Verdict = Result<(), (Code, Vec<String>)>;

/// A rejection that removing pods could lift.
pub fn unschedulable(reasons: &[&str]) -> Verdict {
    let reasons = reasons.iter().map(ToString::to_string).collect();
    Err((Code::Unschedulable, reasons))
}

/// A rejection that nothing lifts.
pub fn unresolvable(reasons: &[&str]) -> Verdict {
    let reasons = reasons.iter().map(ToString::to_string).collect();
    Err((Code::UnschedulableAndUnresolvable, reasons))
}

impl Bench {
    pub fn new(plugin: &str, nodes: impl IntoIterator<Item = NodeBuilder>) -> Self {
        Self::with(plugin, &Config::default(), nodes)
    }

    pub fn with(
        plugin: &str,
        config: &Config,
        nodes: impl IntoIterator<Item = NodeBuilder>,
    ) -> Self {
        let (_, make) = super::PLUGINS
            .iter()
            .find(|(name, _)| *name == plugin)
            .unwrap();
        let mut bench = Self {
            cluster: Cluster::new(config.hard_pod_affinity_weight),
            reader: PodReader::default(),
            plugin: make(config),
            nodes: Vec::new(),
        };
        for node in nodes {
            let info = node_info(node);
            let name = info.name().to_owned();
            bench.cluster.set_node(Arc::new(info));
            bench.cluster.begin_cycle();
            bench.nodes.push(bench.cluster.find(&name).unwrap());
        }
        bench
    }

    pub fn placed(mut self, pods: impl IntoIterator<Item = PodBuilder>) -> Self {
        for pod in pods {
            let info = self.read(pod);
            let node = Arc::clone(info.node_name.as_ref().unwrap());
            self.cluster.add_pod(info, &node, false);
        }
        self
    }

    pub fn namespace(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let labels = Labels::from_map(Some(&labels.collect()));
        self.cluster.set_namespace(name, Some(labels));
        self
    }

    pub fn read(&mut self, pod: PodBuilder) -> Arc<PodInfo> {
        Arc::new(self.reader.read(&pod.build()).unwrap())
    }

    /// What the plugin says before nodes are looked at.
    pub fn pre_filter(&mut self, pod: PodBuilder) -> PreFilter {
        let pod = self.read(pod);
        self.cluster.begin_cycle();
        self.plugin.pre_filter(&mut self.cluster, &pod)
    }

    /// The verdict on every node.
    pub fn filter(&mut self, pod: PodBuilder) -> Vec<Verdict> {
        let pod = self.read(pod);
        self.cluster.begin_cycle();
        match self.plugin.pre_filter(&mut self.cluster, &pod) {
            PreFilter::Skip => self.nodes.iter().map(|_| Ok(())).collect(),
            PreFilter::Reject(code, message) => {
                let verdict = Err((code, vec![message]));
                self.nodes.iter().map(|_| verdict.clone()).collect()
            }
            PreFilter::Run | PreFilter::Only(_) => self
                .nodes
                .iter()
                .map(|node| self.verdict(&pod, *node))
                .collect(),
        }
    }

    /// The names of the nodes that the plugin accepts.
    pub fn accepted(&mut self, pod: PodBuilder) -> Vec<String> {
        let verdicts = self.filter(pod);
        let accepted = self.nodes.iter().zip(verdicts).filter(|(_, v)| v.is_ok());
        let names = accepted.map(|(node, _)| self.cluster.node(*node).unwrap().name());
        names.map(str::to_owned).collect()
    }

    /// The normalized scores of all nodes; none if the plugin stands aside.
    pub fn scores(&mut self, pod: PodBuilder) -> Option<Vec<i64>> {
        self.score(pod)
    }

    /// Scores of some nodes only, given by their places.
    pub fn scores_of(&mut self, pod: PodBuilder, nodes: &[usize]) -> Option<Vec<i64>> {
        let all = self.nodes.clone();
        self.nodes = nodes.iter().map(|at| all[*at]).collect();
        let scores = self.score(pod);
        self.nodes = all;
        scores
    }

    pub fn hint(&self, pod: &PodInfo, event: &Event<'_>) -> Hint {
        if self.plugin.events().meets(event.kinds) {
            self.plugin.hint(&self.cluster, pod, event)
        } else {
            Hint::Skip
        }
    }

    fn score(&mut self, pod: PodBuilder) -> Option<Vec<i64>> {
        let pod = self.read(pod);
        self.cluster.begin_cycle();
        if !self.plugin.pre_score(&mut self.cluster, &pod, &self.nodes) {
            return None;
        }
        let mut scores = vec![0; self.nodes.len()];
        self.plugin
            .score(&self.cluster, &pod, &self.nodes, &mut scores);
        self.plugin.normalize(&mut scores);
        Some(scores)
    }

    fn verdict(&self, pod: &PodInfo, node: NodeId) -> Verdict {
        let Some(rejection) = self.plugin.filter(&self.cluster, pod, node) else {
            return Ok(());
        };
        let numbers = (0..u64::BITS).filter(|bit| rejection.reasons & (1 << bit) != 0);
        let reasons = numbers.map(|number| self.plugin.reason(pod, number));
        Err((rejection.code, reasons.collect()))
    }
}

pub fn node_info(node: NodeBuilder) -> NodeInfo {
    NodeInfo::new(&node.build()).unwrap()
}
