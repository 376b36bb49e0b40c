//! NodeResourcesBalancedAllocation: rather nodes whose resources the pod makes
//! evenly used.
//!
//! Follows pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go:
//! what counts is how the pod changes the balance, so that a node that is out of
//! balance already is not blamed on the pod.

use std::sync::Arc;

use super::resource_allocation::{Share, Wanted};
use crate::cluster::{Cluster, NodeId};
use crate::config::Config;
use crate::framework::{MAX_NODE_SCORE, Plugin};
use crate::pod::PodInfo;

/// The plugin.
pub struct BalancedAllocation {
    resources: Vec<String>,
    wanted: Vec<Wanted>,
}

impl BalancedAllocation {
    /// The plugin as configured.
    pub fn new(config: &Config) -> Self {
        Self {
            resources: config.balanced_resources.clone(),
            wanted: Vec::new(),
        }
    }
}

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    /// A pod that asks for nothing changes no balance.
    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        let names = self.resources.iter();
        let wanted = names.map(|name| Wanted::of(cluster, pod, name, false));
        self.wanted.clear();
        self.wanted.extend(wanted);
        !self.wanted.iter().all(|wanted| wanted.is_zero())
    }

    fn score(&self, cluster: &Cluster, _pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        for (score, node) in scores.iter_mut().zip(nodes) {
            let shares = || self.wanted.iter().map(|w| w.on(&cluster.capacity, *node));
            let with = balance(shares().map(|s| (s.requested, s)));
            let without = balance(shares().map(|s| (s.allocated, s)));
            let half = MAX_NODE_SCORE / 2;
            *score = half + (half + with - without) / 2;
        }
    }

    fn scores_by_node(&self) -> bool {
        true
    }
}

/// How evenly resources are used: the best score less the standard deviation
/// of their fractions.
fn balance(used: impl Iterator<Item = (i64, Share)> + Clone) -> i64 {
    let of_nodes = used.filter(|(_, share)| share.allocatable != 0);
    let fractions = of_nodes.map(|(used, share)| (used as f64 / share.allocatable as f64).min(1.0));
    let (count, sum) = fractions
        .clone()
        .fold((0u32, 0.0), |(count, sum), fraction| {
            (count + 1, sum + fraction)
        });
    let deviation = match count {
        0 | 1 => 0.0,
        2 => {
            let difference = fractions.fold(0.0, |difference, fraction| fraction - difference);
            (difference / 2.0).abs()
        }
        _ => {
            let mean = sum / f64::from(count);
            let squares: f64 = fractions.map(|fraction| (fraction - mean).powi(2)).sum();
            (squares / f64::from(count)).sqrt()
        }
    };
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::Bench;
    use crate::testing::{PodBuilder, node, pod};

    fn scores(placed: &[PodBuilder], wanted: PodBuilder, rooms: [&str; 2]) -> Option<Vec<i64>> {
        let nodes = [
            node("a").allocatable(rooms[0]),
            node("b").allocatable(rooms[1]),
        ];
        let mut bench =
            Bench::new("NodeResourcesBalancedAllocation", nodes).placed(placed.iter().cloned());
        bench.scores(wanted)
    }

    fn uses(name: &str, cpu: i64, memory: i64) -> PodBuilder {
        pod(name).container(&format!("cpu={cpu}m,memory={memory}"))
    }

    #[test]
    fn pods_that_ask_for_nothing_are_not_scored() {
        let room = "cpu=4,memory=10000";
        assert_eq!(scores(&[], pod("p").container(""), [room, room]), None);
    }

    #[test]
    fn the_change_of_the_balance_counts() {
        // Empty nodes are in balance (100); with the pod the first is used by
        // 75 % and 50 % (deviation 0.125: 87), the second by 50 % and 50 %.
        let rooms = ["cpu=4,memory=10000", "cpu=6,memory=10000"];
        assert_eq!(
            scores(&[], uses("p", 3000, 5000), rooms),
            Some(vec![68, 75])
        );

        // a: 30 % and 0 % (85) become 60 % and 25 % (82): 50 + 47/2.
        // b: 30 % and 25 % (97) become 60 % and 50 % (95): 50 + 48/2.
        let placed = [
            uses("x", 3000, 0).node("a"),
            uses("y", 3000, 5000).node("b"),
        ];
        let rooms = ["cpu=10,memory=20000"; 2];
        assert_eq!(
            scores(&placed, uses("p", 3000, 5000), rooms),
            Some(vec![73, 74])
        );

        // A pod that restores the balance makes a node better than an empty one.
        let placed = [uses("x", 5000, 0).node("a")];
        let rooms = ["cpu=10,memory=10000"; 2];
        assert_eq!(
            scores(&placed, uses("p", 0, 5000), rooms),
            Some(vec![87, 62])
        );
    }

    #[test]
    fn more_is_not_more_than_all_and_nothing_is_left_out() {
        let rooms = ["cpu=4,memory=10000", "memory=10000"];
        let placed = [uses("x", 3000, 0).node("a")];
        // a: 75 % and 0 % (62) become 100 % and 0 % (50); b has no CPU at all.
        assert_eq!(
            scores(&placed, uses("p", 3000, 0), rooms),
            Some(vec![69, 75])
        );
    }

    #[test]
    fn three_resources_use_the_standard_deviation() {
        let share = |requested, allocatable| {
            (
                requested,
                Share {
                    allocatable,
                    requested,
                    allocated: 0,
                },
            )
        };
        let shares = [share(20, 100), share(30, 100), share(70, 100)];
        // mean 0.4, deviation sqrt((0.04 + 0.01 + 0.09) / 3) = 0.216
        assert_eq!(balance(shares.into_iter()), 78);
    }
}
