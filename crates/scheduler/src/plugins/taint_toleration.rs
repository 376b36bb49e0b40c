//! TaintToleration: nodes repel pods that do not tolerate their taints.
//!
//! Follows pkg/scheduler/framework/plugins/tainttoleration.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection, default_normalize_score};
use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::taint::{hard_taints_tolerated, soft_taints_untolerated};

/// The plugin.
pub struct TaintToleration;

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, _pod: &Arc<PodInfo>) -> PreFilter {
        if cluster.traits().hard_taints == 0 {
            return PreFilter::Skip;
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let fits = cluster.node(node).is_some_and(|node| tolerates(pod, node));
        (!fits).then_some(Rejection {
            code: Code::UnschedulableAndUnresolvable,
            reasons: 1,
        })
    }

    fn filters_by_node(&self) -> bool {
        true
    }

    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        "node(s) had untolerated taint(s)".into()
    }

    /// Without a taint that deters, all nodes would score alike.
    fn pre_score(&mut self, cluster: &mut Cluster, _pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        cluster.traits().soft_taints > 0
    }

    fn score(&self, cluster: &Cluster, pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        for (score, id) in scores.iter_mut().zip(nodes) {
            let taints = cluster.node(*id).map(|node| &*node.taints);
            *score = soft_taints_untolerated(&pod.shape.tolerations, taints.unwrap_or_default());
        }
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize_score(scores, true);
    }

    fn events(&self) -> Events {
        Events::NODE_ADD | Events::NODE_TAINT | Events::OWN_TOLERATION
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Node {
                old,
                new: Some(new),
            } => {
                let before = old.is_some_and(|old| tolerates(pod, old));
                Hint::queue_if(!before && tolerates(pod, new))
            }
            Change::Own => Hint::Queue,
            _ => Hint::Skip,
        }
    }
}

fn tolerates(pod: &PodInfo, node: &NodeInfo) -> bool {
    hard_taints_tolerated(&pod.shape.tolerations, &node.taints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::{Bench, node_info, unresolvable};
    use crate::testing::{NodeBuilder, PodBuilder, node, pod};

    #[test]
    fn hard_taints_must_be_tolerated() {
        let dedicated = |value: &str, effect: &str| node("n").taint("dedicated", value, effect);
        let tolerant = |operator: &str, value: &str, effect: &str| {
            pod("p").toleration("dedicated", operator, value, effect)
        };
        let cases: Vec<(PodBuilder, NodeBuilder, bool)> = vec![
            (pod("p"), dedicated("user1", "NoSchedule"), false),
            (
                tolerant("", "user1", "NoSchedule"),
                dedicated("user1", "NoSchedule"),
                true,
            ),
            (
                tolerant("Equal", "user2", "NoSchedule"),
                dedicated("user1", "NoSchedule"),
                false,
            ),
            (
                tolerant("Exists", "", ""),
                dedicated("user1", "NoSchedule"),
                true,
            ),
            (
                tolerant("Exists", "", "").toleration("other", "Equal", "x", "NoSchedule"),
                dedicated("user1", "NoSchedule").taint("other", "x", "NoSchedule"),
                true,
            ),
            (
                tolerant("Equal", "user1", "PreferNoSchedule"),
                dedicated("user1", "NoSchedule"),
                false,
            ),
            (pod("p"), dedicated("user1", "PreferNoSchedule"), true),
            (pod("p"), dedicated("user1", "NoExecute"), false),
            (pod("p"), node("n"), true),
        ];
        for (number, (pod, node, fits)) in cases.into_iter().enumerate() {
            let mut bench = Bench::new("TaintToleration", [node]);
            let refused = unresolvable(&["node(s) had untolerated taint(s)"]);
            let want = if fits { Ok(()) } else { refused };
            assert_eq!(bench.filter(pod), [want], "case {number}");
        }
    }

    #[test]
    fn soft_taints_deter() {
        let soft = |name: &str, taints: &[(&str, &str)]| {
            let taints = taints.iter();
            taints.fold(node(name), |node, (key, value)| {
                node.taint(key, value, "PreferNoSchedule")
            })
        };
        let tolerant = pod("p").toleration("foo", "Equal", "bar", "PreferNoSchedule");
        let mut bench = Bench::new(
            "TaintToleration",
            [soft("a", &[("foo", "bar")]), soft("b", &[("foo", "blah")])],
        );
        assert_eq!(bench.scores(tolerant), Some(vec![100, 0]));

        let mut bench = Bench::new(
            "TaintToleration",
            [
                node("a"),
                soft("b", &[("cpu-type", "arm64")]),
                soft("c", &[("cpu-type", "arm64"), ("disk-type", "ssd")]),
            ],
        );
        let tolerant = pod("p")
            .toleration("cpu-type", "Equal", "arm64", "PreferNoSchedule")
            .toleration("disk-type", "Equal", "ssd", "PreferNoSchedule");
        assert_eq!(bench.scores(tolerant), Some(vec![100, 100, 100]));
        let half = pod("p").toleration("cpu-type", "Equal", "arm64", "NoSchedule");
        assert_eq!(bench.scores(half), Some(vec![100, 50, 0]));

        let mut bench = Bench::new("TaintToleration", [node("a").taint("x", "y", "NoSchedule")]);
        assert_eq!(bench.scores(pod("p")), None);
    }

    #[test]
    fn a_taint_that_goes_helps() {
        let mut bench = Bench::new("TaintToleration", []);
        let waiting = bench.read(pod("p"));
        let tainted = node_info(node("a").taint("x", "y", "NoSchedule"));
        let clean = node_info(node("a"));
        for (old, new, want) in [
            (None, &clean, Hint::Queue),
            (None, &tainted, Hint::Skip),
            (Some(&tainted), &clean, Hint::Queue),
            (Some(&clean), &tainted, Hint::Skip),
        ] {
            assert_eq!(bench.hint(&waiting, &Event::of_node(old, Some(new))), want);
        }
        let tolerant = bench.read(pod("p").toleration("x", "Exists", "", ""));
        assert_eq!(
            bench.hint(&tolerant, &Event::of_own(&waiting, &tolerant)),
            Hint::Queue
        );
    }
}
