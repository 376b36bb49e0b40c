//! What of the scheduler can be chosen, with upstream's choices as defaults.
//!
//! Follows pkg/scheduler/apis/config/v1 (`KubeSchedulerConfiguration`).

use std::time::Duration;

/// The scheduler's configuration: one profile.
#[derive(Clone, Debug)]
pub struct Config {
    /// Pods that ask for this scheduler are placed.
    pub scheduler_name: String,
    /// Of how many nodes in a hundred enough is known once they were found to
    /// fit; 0 lets the size of the cluster decide.
    pub percentage_of_nodes_to_score: u32,
    /// Plugins in the order in which they run, each with the weight of its
    /// scores.
    pub plugins: Vec<(&'static str, i64)>,
    /// How NodeResourcesFit scores.
    pub scoring_strategy: ScoringStrategy,
    /// Which resources NodeResourcesBalancedAllocation keeps in balance.
    pub balanced_resources: Vec<String>,
    /// What required affinity of placed pods weighs when scoring.
    pub hard_pod_affinity_weight: i64,
    /// Whether preferences of placed pods are ignored for pods without any.
    pub ignore_preferred_terms_of_existing_pods: bool,
    /// Whether pods without spread constraints are spread by host and zone.
    pub spread_by_default: bool,
    /// How long a pod waits after its first failed attempt.
    pub pod_initial_backoff: Duration,
    /// The longest that a pod waits after failed attempts.
    pub pod_max_backoff: Duration,
    /// After how long a pod is tried again though no event promises success.
    pub pod_max_in_unschedulable: Duration,
}

/// How much room a node should have left.
#[derive(Clone, Debug)]
pub struct ScoringStrategy {
    /// The rule.
    pub kind: ScoringKind,
    /// Resources and their weights.
    pub resources: Vec<(String, i64)>,
}

/// The rule of a scoring strategy.
#[derive(Clone, Debug)]
pub enum ScoringKind {
    /// Rather nodes with much room.
    LeastAllocated,
    /// Rather nodes with little room.
    MostAllocated,
    /// A broken line of (utilization from 0 to 100, score from 0 to 10).
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A plugin that does not exist.
    #[error("there is no plugin {0:?}")]
    UnknownPlugin(String),
    /// A plugin that is listed twice.
    #[error("plugin {0:?} is enabled twice")]
    RepeatedPlugin(String),
    /// A shape that is no function of utilization.
    #[error("the shape of RequestedToCapacityRatio needs points with rising utilization")]
    Shape,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            scheduler_name: "default-scheduler".into(),
            percentage_of_nodes_to_score: 0,
            plugins: default_plugins(),
            scoring_strategy: ScoringStrategy::default(),
            balanced_resources: vec!["cpu".into(), "memory".into()],
            hard_pod_affinity_weight: 1,
            ignore_preferred_terms_of_existing_pods: false,
            spread_by_default: true,
            pod_initial_backoff: Duration::from_secs(1),
            pod_max_backoff: Duration::from_secs(10),
            pod_max_in_unschedulable: Duration::from_secs(5 * 60),
        }
    }
}

impl Default for ScoringStrategy {
    fn default() -> Self {
        Self {
            kind: ScoringKind::LeastAllocated,
            resources: vec![("cpu".into(), 1), ("memory".into(), 1)],
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (at, (name, _)) in self.plugins.iter().enumerate() {
            if self.plugins[..at].iter().any(|(before, _)| before == name) {
                return Err(ConfigError::RepeatedPlugin((*name).into()));
            }
        }
        if let ScoringKind::RequestedToCapacityRatio(shape) = &self.scoring_strategy.kind {
            let rising = shape.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if shape.is_empty() || !rising {
                return Err(ConfigError::Shape);
            }
        }
        Ok(())
    }
}

/// Follows pkg/scheduler/apis/config/v1/default_plugins.go, as far as the
/// plugins exist here.
fn default_plugins() -> Vec<(&'static str, i64)> {
    vec![
        ("SchedulingGates", 0),
        ("NodeUnschedulable", 0),
        ("NodeName", 0),
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodePorts", 0),
        ("NodeResourcesFit", 1),
        ("VolumeBinding", 0),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("DynamicResources", 0),
        ("GangScheduling", 0),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
    ]
}
