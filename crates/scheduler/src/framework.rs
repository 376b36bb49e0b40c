//! The plugin framework: the points at which plugins take part in placing a
//! pod, and the runner that takes a pod through them.
//!
//! Follows pkg/scheduler/framework/interface.go and runtime/framework.go, with
//! these differences of form. A plugin keeps what it found out about the pod at
//! hand in itself (one pod is placed at a time), so nothing is allocated for
//! that. A plugin takes part in filtering only if its `pre_filter` says so, and
//! in scoring only if its `pre_score` does. Scores are asked for all nodes at
//! once. A rejection is a set of reasons by number, and the words are asked for
//! only when a person shall read them.

use std::sync::Arc;

use crate::class::Class;
use crate::cluster::{Cluster, NodeId};
use crate::config::{Config, ConfigError};
use crate::event::{Event, Events};
use crate::plugins;
use crate::pod::PodInfo;

/// The best score that a plugin gives.
pub const MAX_NODE_SCORE: i64 = 100;

/// What a rejection means for those who could make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The pod does not fit as things are.
    Unschedulable,
    /// Removing pods would not help.
    UnschedulableAndUnresolvable,
}

/// Why a node is out of the question: reasons by the plugin's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What this means.
    pub code: Code,
    /// A bit for each reason.
    pub reasons: u64,
}

/// What a plugin says before nodes are looked at.
#[derive(Debug)]
pub enum PreFilter {
    /// Nothing to filter for this pod.
    Skip,
    /// Ask me about each node.
    Run,
    /// Ask me about these nodes; the others are out of the question.
    Only(Vec<NodeId>),
    /// No node will do.
    Reject(Code, String),
}

/// Whether an event may help a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// It may.
    Queue,
    /// It cannot.
    Skip,
}

impl Hint {
    /// `Queue` if it may help.
    pub fn queue_if(may_help: bool) -> Self {
        if may_help { Self::Queue } else { Self::Skip }
    }
}

/// A part of the decision.
pub trait Plugin: Send {
    /// The name, as upstream has it.
    fn name(&self) -> &'static str;

    /// Why the pod may not even enter the queue.
    fn pre_enqueue(&self, _pod: &PodInfo) -> Option<String> {
        None
    }

    /// Looks at the pod before any node.
    fn pre_filter(&mut self, _cluster: &mut Cluster, _pod: &Arc<PodInfo>) -> PreFilter {
        PreFilter::Skip
    }

    /// Why the node is out of the question.
    fn filter(&self, _cluster: &Cluster, _pod: &PodInfo, _node: NodeId) -> Option<Rejection> {
        None
    }

    /// The words of a reason of the pod that was filtered last.
    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        String::new()
    }

    /// Whether `filter` looks at the node, its pods and the pod's shape alone: then
    /// its word is kept for the next pod of that shape, see [`crate::class`].
    fn filters_by_node(&self) -> bool {
        false
    }

    /// Looks at the nodes that fit; whether there is anything to score.
    fn pre_score(
        &mut self,
        _cluster: &mut Cluster,
        _pod: &Arc<PodInfo>,
        _nodes: &[NodeId],
    ) -> bool {
        false
    }

    /// Scores all nodes that fit.
    fn score(&self, _cluster: &Cluster, _pod: &PodInfo, _nodes: &[NodeId], _scores: &mut [i64]) {}

    /// Whether `score` looks at the node, its pods and the pod's shape alone, and
    /// `normalize` does nothing: then scores are kept likewise.
    fn scores_by_node(&self) -> bool {
        false
    }

    /// Brings scores into 0 to [`MAX_NODE_SCORE`].
    fn normalize(&self, _scores: &mut [i64]) {}

    /// Events that may help a pod that this plugin rejected.
    fn events(&self) -> Events {
        Events::NONE
    }

    /// Whether an event may help a pod that this plugin rejected.
    fn hint(&self, _cluster: &Cluster, _pod: &PodInfo, _event: &Event<'_>) -> Hint {
        Hint::Queue
    }
}

/// A set of plugins of one framework.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginSet(u32);

impl PluginSet {
    /// No plugin, but the lack of any node.
    pub const NO_NODES: Self = Self(1 << 31);

    /// Adds a plugin.
    pub fn insert(&mut self, plugin: PluginIndex) {
        self.0 |= 1 << plugin;
    }

    /// Whether the plugin is in the set.
    pub fn contains(self, plugin: PluginIndex) -> bool {
        self.0 & (1 << plugin) != 0
    }

    /// Whether the sets have a member in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The members' numbers.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u32::BITS).filter(move |bit| self.0 & (1 << bit) != 0)
    }
}

/// The place of a plugin in its framework.
pub type PluginIndex = usize;

/// A node that was rejected, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Rejected {
    pub node: NodeId,
    pub plugin: PluginIndex,
    pub rejection: Rejection,
}

/// What all plugins together say before nodes are looked at.
#[derive(Debug)]
pub enum PreFiltered {
    /// All nodes are to be looked at.
    All,
    /// Only these, because of those plugins.
    Only(Vec<NodeId>, PluginSet),
    /// None, with the rejecting plugin's words.
    Rejected {
        code: Code,
        message: String,
        plugins: PluginSet,
    },
}

/// The plugins of a profile.
pub struct Framework {
    plugins: Vec<Box<dyn Plugin>>,
    weights: Vec<i64>,
    events: Vec<Events>,
    /// The plugins that filter and score the pod at hand.
    filtering: Vec<PluginIndex>,
    /// How many of the filtering ones stand first that filter by node.
    filtering_by_node: usize,
    scoring: Vec<PluginIndex>,
    scores: Vec<i64>,
    /// Nodes whose score of their own is not known.
    unknown: Vec<NodeId>,
}

impl Framework {
    /// The plugins that a configuration enables.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let make = |name: &str| {
            let found = plugins::PLUGINS.iter().find(|(have, _)| *have == name);
            let unknown = || ConfigError::UnknownPlugin(name.to_owned());
            found.map(|(_, make)| make(config)).ok_or_else(unknown)
        };
        let names = config.plugins.iter();
        let plugins: Vec<Box<dyn Plugin>> = names
            .map(|(name, _)| make(name))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            events: plugins.iter().map(|plugin| plugin.events()).collect(),
            weights: config.plugins.iter().map(|(_, weight)| *weight).collect(),
            plugins,
            filtering: Vec::new(),
            filtering_by_node: 0,
            scoring: Vec::new(),
            scores: Vec::new(),
            unknown: Vec::new(),
        })
    }

    /// A plugin's name.
    pub fn name(&self, plugin: PluginIndex) -> &'static str {
        self.plugins.get(plugin).map_or("", |plugin| plugin.name())
    }

    /// The names of a set of plugins.
    pub fn names(&self, set: PluginSet) -> Vec<&'static str> {
        let members = (0..self.plugins.len()).filter(|&plugin| set.contains(plugin));
        members.map(|plugin| self.name(plugin)).collect()
    }

    /// Why the pod may not enter the queue.
    pub fn run_pre_enqueue(&self, pod: &PodInfo) -> Option<String> {
        self.plugins
            .iter()
            .find_map(|plugin| plugin.pre_enqueue(pod))
    }

    /// Asks all plugins about the pod.
    pub fn run_pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFiltered {
        self.filtering.clear();
        let mut only: Option<Vec<NodeId>> = None;
        let mut naming = PluginSet::default();
        let mut rejected = None;
        for (index, plugin) in self.plugins.iter_mut().enumerate() {
            let nodes = match plugin.pre_filter(cluster, pod) {
                PreFilter::Skip => continue,
                PreFilter::Run => None,
                PreFilter::Only(nodes) => Some(nodes),
                PreFilter::Reject(code, message) => {
                    let mut plugins = PluginSet::default();
                    plugins.insert(index);
                    let last = code == Code::UnschedulableAndUnresolvable;
                    rejected = Some(PreFiltered::Rejected {
                        code,
                        message,
                        plugins,
                    });
                    if last {
                        break;
                    }
                    continue;
                }
            };
            self.filtering.push(index);
            if let Some(nodes) = nodes {
                naming.insert(index);
                let common = match only.take() {
                    None => nodes,
                    Some(have) => {
                        let common = nodes.into_iter().filter(|node| have.contains(node));
                        let common: Vec<NodeId> = common.collect();
                        if common.is_empty() {
                            return self.rejected_together(naming);
                        }
                        common
                    }
                };
                only = Some(common);
            }
        }
        let mut filtering = self.filtering.iter();
        let others = filtering.position(|plugin| !self.plugins[*plugin].filters_by_node());
        self.filtering_by_node = others.unwrap_or(self.filtering.len());
        match (rejected, only) {
            (Some(rejected), _) => rejected,
            (None, Some(nodes)) => PreFiltered::Only(nodes, naming),
            (None, None) => PreFiltered::All,
        }
    }

    /// Asks the filtering plugins about a node, until one rejects it.
    pub fn run_filter(
        &self,
        cluster: &Cluster,
        pod: &PodInfo,
        node: NodeId,
    ) -> Result<(), Rejected> {
        self.ask(&self.filtering, cluster, pod, node)
    }

    /// The same with what is known of the pod's class. As the first plugin that
    /// rejects a node is the one that counts, only what the plugins say that
    /// stand before all others is kept.
    pub fn run_filter_of_class(
        &self,
        class: &mut Class,
        cluster: &Cluster,
        pod: &PodInfo,
        node: NodeId,
    ) -> Result<(), Rejected> {
        let (by_node, others) = self.filtering.split_at(self.filtering_by_node);
        class.verdict(cluster, node, || self.ask(by_node, cluster, pod, node))?;
        self.ask(others, cluster, pod, node)
    }

    fn ask(
        &self,
        plugins: &[PluginIndex],
        cluster: &Cluster,
        pod: &PodInfo,
        node: NodeId,
    ) -> Result<(), Rejected> {
        for &plugin in plugins {
            if let Some(rejection) = self.plugins[plugin].filter(cluster, pod, node) {
                return Err(Rejected {
                    node,
                    plugin,
                    rejection,
                });
            }
        }
        Ok(())
    }

    /// The reasons of a rejection, in words.
    pub fn reasons<'a>(
        &'a self,
        pod: &'a PodInfo,
        plugin: PluginIndex,
        reasons: u64,
    ) -> impl Iterator<Item = String> + 'a {
        let numbers = (0..u64::BITS).filter(move |bit| reasons & (1 << bit) != 0);
        numbers.map(move |number| self.plugins[plugin].reason(pod, number))
    }

    /// The sum of all plugins' weighted scores, for each node that fits.
    pub fn run_score(
        &mut self,
        class: &mut Class,
        cluster: &mut Cluster,
        pod: &Arc<PodInfo>,
        nodes: &[NodeId],
        totals: &mut Vec<i64>,
    ) {
        self.run_pre_score(cluster, pod, nodes);
        self.score_unknown(class, cluster, pod, nodes);
        totals.clear();
        totals.extend(nodes.iter().map(|node| class.score(*node).unwrap_or(0)));
        for index in 0..self.scoring.len() {
            let plugin = self.scoring[index];
            if !self.plugins[plugin].scores_by_node() {
                self.run_plugin_score(plugin, cluster, pod, nodes);
                add(totals, &self.scores);
            }
        }
    }

    /// Each scoring plugin's weighted scores of the nodes.
    pub fn each_score(
        &mut self,
        cluster: &mut Cluster,
        pod: &Arc<PodInfo>,
        nodes: &[NodeId],
        mut take: impl FnMut(PluginIndex, &[i64]),
    ) {
        self.run_pre_score(cluster, pod, nodes);
        for index in 0..self.scoring.len() {
            let plugin = self.scoring[index];
            self.run_plugin_score(plugin, cluster, pod, nodes);
            take(plugin, &self.scores);
        }
    }

    /// Asks which plugins have anything to score.
    fn run_pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, nodes: &[NodeId]) {
        self.scoring.clear();
        for (index, plugin) in self.plugins.iter_mut().enumerate() {
            if self.weights[index] != 0 && plugin.pre_score(cluster, pod, nodes) {
                self.scoring.push(index);
            }
        }
    }

    /// Has the class know the score of each node by itself.
    fn score_unknown(
        &mut self,
        class: &mut Class,
        cluster: &Cluster,
        pod: &PodInfo,
        nodes: &[NodeId],
    ) {
        let mut unknown = std::mem::take(&mut self.unknown);
        unknown.clear();
        unknown.extend(nodes.iter().filter(|node| class.score(**node).is_none()));
        let mut sums = vec![0; unknown.len()];
        for index in 0..self.scoring.len() {
            let plugin = self.scoring[index];
            if self.plugins[plugin].scores_by_node() {
                self.run_plugin_score(plugin, cluster, pod, &unknown);
                add(&mut sums, &self.scores);
            }
        }
        for (node, sum) in unknown.iter().zip(sums) {
            class.keep_score(*node, sum);
        }
        self.unknown = unknown;
    }

    /// One plugin's weighted scores, into `self.scores`.
    fn run_plugin_score(
        &mut self,
        plugin: PluginIndex,
        cluster: &Cluster,
        pod: &PodInfo,
        nodes: &[NodeId],
    ) {
        self.scores.clear();
        self.scores.resize(nodes.len(), 0);
        let weight = self.weights[plugin];
        let plugin = &self.plugins[plugin];
        plugin.score(cluster, pod, nodes, &mut self.scores);
        plugin.normalize(&mut self.scores);
        self.scores.iter_mut().for_each(|score| *score *= weight);
    }

    /// The plugins that have an ear for an event.
    pub fn interested(&self, kinds: Events) -> PluginSet {
        let mut set = PluginSet::default();
        for (index, events) in self.events.iter().enumerate() {
            if events.meets(kinds) {
                set.insert(index);
            }
        }
        if kinds.meets(Events::NODE_ADD) {
            set = set.or(PluginSet::NO_NODES);
        }
        set
    }

    /// Whether an event may help a pod that the given plugins rejected.
    pub fn may_help(
        &self,
        cluster: &Cluster,
        pod: &PodInfo,
        rejected_by: PluginSet,
        event: &Event<'_>,
    ) -> bool {
        if rejected_by.meets(PluginSet::NO_NODES) && event.kinds.meets(Events::NODE_ADD) {
            return true;
        }
        self.plugins.iter().enumerate().any(|(index, plugin)| {
            rejected_by.contains(index)
                && self.events[index].meets(event.kinds)
                && plugin.hint(cluster, pod, event) == Hint::Queue
        })
    }

    fn rejected_together(&self, plugins: PluginSet) -> PreFiltered {
        let names = self.names(plugins).join(" ");
        PreFiltered::Rejected {
            code: Code::UnschedulableAndUnresolvable,
            message: format!("node(s) didn't satisfy plugin(s) [{names}] simultaneously"),
            plugins,
        }
    }
}

fn add(totals: &mut [i64], scores: &[i64]) {
    for (total, score) in totals.iter_mut().zip(scores) {
        *total += score;
    }
}

/// Brings scores into 0 to [`MAX_NODE_SCORE`], the highest becoming the best,
/// or with `reverse` the worst.
/// Follows pkg/scheduler/framework/plugins/helper/normalize_score.go.
pub fn default_normalize_score(scores: &mut [i64], reverse: bool) {
    let max = scores.iter().copied().max().unwrap_or_default();
    if max <= 0 {
        if reverse {
            scores.fill(MAX_NODE_SCORE);
        }
        return;
    }
    for score in scores {
        *score = MAX_NODE_SCORE * *score / max;
        if reverse {
            *score = MAX_NODE_SCORE - *score;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_normalized() {
        for (mut scores, reverse, want) in [
            ([1, 2, 3, 4], false, [25, 50, 75, 100]),
            ([1, 2, 3, 4], true, [75, 50, 25, 0]),
            ([1000, 10, 20, 30], false, [100, 1, 2, 3]),
            ([1000, 10, 20, 30], true, [0, 99, 98, 97]),
            ([1, 1, 1, 1], false, [100, 100, 100, 100]),
            ([1000, 1, 1, 1], false, [100, 0, 0, 0]),
            ([0, 0, 0, 0], false, [0, 0, 0, 0]),
            ([0, 0, 0, 0], true, [100, 100, 100, 100]),
        ] {
            default_normalize_score(&mut scores, reverse);
            assert_eq!(scores, want);
        }
    }

    #[test]
    fn configurations_that_make_no_sense_are_refused() {
        let with = |plugins: Vec<(&'static str, i64)>| {
            let config = Config {
                plugins,
                ..Config::default()
            };
            Framework::new(&config).map(|_| ())
        };
        assert_eq!(
            with(vec![("Astrology", 1)]),
            Err(ConfigError::UnknownPlugin("Astrology".into()))
        );
        assert_eq!(
            with(vec![("NodeName", 0), ("NodeName", 0)]),
            Err(ConfigError::RepeatedPlugin("NodeName".into()))
        );
        assert_eq!(with(vec![("NodeName", 0)]), Ok(()));
    }
}
