//! NodeAffinity: `spec.nodeSelector` and node affinity.
//!
//! Follows pkg/scheduler/framework/plugins/nodeaffinity.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection, default_normalize_score};
use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// The plugin.
pub struct NodeAffinity;

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        let Some(selection) = &pod.shape.node_selection else {
            return PreFilter::Skip;
        };
        match selection.node_names() {
            None => PreFilter::Run,
            Some(names) if names.is_empty() => PreFilter::Reject(
                Code::UnschedulableAndUnresolvable,
                "pod affinity terms conflict".into(),
            ),
            Some(names) => {
                let nodes = names.into_iter().filter_map(|name| cluster.find(name));
                PreFilter::Only(nodes.collect())
            }
        }
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let fits = cluster.node(node).is_some_and(|node| matches(pod, node));
        (!fits).then_some(Rejection {
            code: Code::UnschedulableAndUnresolvable,
            reasons: 1,
        })
    }

    fn filters_by_node(&self) -> bool {
        true
    }

    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        "node(s) didn't match Pod's node affinity/selector".into()
    }

    fn pre_score(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        !pod.shape.preferred_nodes.is_empty()
    }

    fn score(&self, cluster: &Cluster, pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        for (score, id) in scores.iter_mut().zip(nodes) {
            let Some(node) = cluster.node(*id) else {
                continue;
            };
            let preferred = pod.shape.preferred_nodes.iter();
            let met = preferred.filter(|(term, _)| term.matches(node));
            *score = met.map(|(_, weight)| weight).sum();
        }
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize_score(scores, false);
    }

    fn events(&self) -> Events {
        Events::NODE_ADD | Events::NODE_LABEL
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        let Change::Node {
            old,
            new: Some(new),
        } = event.change
        else {
            return Hint::Skip;
        };
        Hint::queue_if(matches(pod, new) && !old.is_some_and(|old| matches(pod, old)))
    }
}

fn matches(pod: &PodInfo, node: &NodeInfo) -> bool {
    let selection = pod.shape.node_selection.as_ref();
    selection.is_none_or(|selection| selection.matches(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::{Bench, Verdict, node_info, unresolvable};
    use crate::testing::{PodBuilder, node, pod};

    fn mismatch() -> Verdict {
        unresolvable(&["node(s) didn't match Pod's node affinity/selector"])
    }

    #[test]
    fn selectors_and_required_terms() {
        let terms = |terms: &[&str]| {
            let terms = terms.iter();
            terms.fold(pod("p"), |pod, term| pod.node_affinity(term))
        };
        let selector = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs.fold(pod("p"), |pod, (key, value)| pod.node_selector(key, value))
        };
        let cases: Vec<(PodBuilder, &str, bool)> = vec![
            (pod("p"), "", true),
            (selector(&[("foo", "bar")]), "", false),
            (selector(&[("foo", "bar")]), "foo=bar", true),
            (selector(&[("foo", "bar")]), "foo=bar,baz=blah", true),
            (
                selector(&[("foo", "bar"), ("baz", "blah")]),
                "foo=bar",
                false,
            ),
            (terms(&["foo in (bar|value2)"]), "foo=bar", true),
            (terms(&["version > 0204"]), "version=0206", true),
            (terms(&["version > 0206"]), "version=0204", false),
            (terms(&["version < 0206"]), "version=0204", true),
            (terms(&["version > x"]), "version=0206", false),
            (terms(&["mem notin (1|2)"]), "gpu=NVIDIA", true),
            (terms(&["gpu"]), "gpu=NVIDIA", true),
            (terms(&["!gpu"]), "gpu=NVIDIA", false),
            (terms(&["foo in (value1|value2)"]), "foo=bar", false),
            (terms(&[""]), "foo=bar", false),
            (terms(&["gpu,gpu notin (AMD)"]), "gpu=NVIDIA", true),
            (terms(&["gpu,gpu in (AMD)"]), "gpu=NVIDIA", false),
            (terms(&["foo in (bar)", "diff in (bar)"]), "foo=bar", true),
            (terms(&["foo"]).node_selector("foo", "bar"), "foo=bar", true),
            (
                terms(&["foo"]).node_selector("foo", "bar"),
                "foo=barrrr",
                false,
            ),
            (terms(&["@metadata.name in (node1)"]), "", true),
            (terms(&["@metadata.name notin (node1)"]), "", false),
            (
                terms(&["@metadata.name in (node1),foo in (bar)"]),
                "",
                false,
            ),
            (
                terms(&["@metadata.name in (node2)", "foo in (bar)"]),
                "foo=bar",
                true,
            ),
        ];
        for (number, (pod, labels, fits)) in cases.into_iter().enumerate() {
            let mut bench = Bench::new("NodeAffinity", [node("node1").labels(labels)]);
            let want = if fits { Ok(()) } else { mismatch() };
            assert_eq!(bench.filter(pod), [want], "case {number}");
        }
    }

    #[test]
    fn terms_that_name_nodes_narrow_the_search() {
        let mut bench = Bench::new("NodeAffinity", [node("a"), node("b"), node("c")]);
        let mut named = |terms: &[&str]| {
            let terms = terms.iter();
            let pod = terms.fold(pod("p"), |pod, term| pod.node_affinity(term));
            match bench.pre_filter(pod) {
                PreFilter::Only(nodes) => {
                    let names = nodes
                        .into_iter()
                        .map(|id| bench.cluster.node(id).unwrap().name());
                    names.collect::<Vec<_>>().join(",")
                }
                other => format!("{other:?}"),
            }
        };
        assert_eq!(named(&["@metadata.name in (b)"]), "b");
        assert_eq!(
            named(&["@metadata.name in (b|c)", "@metadata.name in (a)"]),
            "a,b,c"
        );
        assert_eq!(named(&["@metadata.name in (gone)"]), "");
        assert_eq!(named(&["@metadata.name in (b)", "foo"]), "Run");
        assert_eq!(
            named(&["@metadata.name in (a),@metadata.name in (b)"]),
            "Reject(UnschedulableAndUnresolvable, \"pod affinity terms conflict\")"
        );
    }

    #[test]
    fn preferences_are_weighed() {
        let nodes = || {
            [
                node("node1").labels("foo=bar"),
                node("node2").labels("key=value,foo=bar,az=az1"),
                node("node5").labels("foo=bar,key=value,az=az1"),
            ]
        };
        let bench = || Bench::new("NodeAffinity", nodes());
        assert_eq!(bench().scores(pod("p")), None);
        let prefers = |terms: &[(i32, &str)]| {
            let terms = terms.iter();
            terms.fold(pod("p"), |pod, (weight, term)| {
                pod.preferred_node(*weight, term)
            })
        };
        let first = prefers(&[(2, "foo in (bar)")]);
        assert_eq!(bench().scores(first), Some(vec![100, 100, 100]));
        let all = prefers(&[
            (2, "foo in (bar)"),
            (4, "key in (value)"),
            (5, "foo in (bar),key in (value),az in (az1)"),
        ]);
        assert_eq!(bench().scores(all), Some(vec![18, 100, 100]));
        let none = prefers(&[(2, "nothing in (here)")]);
        assert_eq!(bench().scores(none), Some(vec![0, 0, 0]));
    }

    #[test]
    fn a_node_that_begins_to_match_helps() {
        let mut bench = Bench::new("NodeAffinity", []);
        let pod = bench.read(pod("p").node_selector("foo", "bar"));
        let (yes, no) = (node_info(node("a").labels("foo=bar")), node_info(node("a")));
        for (old, new, want) in [
            (None, &yes, Hint::Queue),
            (None, &no, Hint::Skip),
            (Some(&no), &yes, Hint::Queue),
            (Some(&yes), &no, Hint::Skip),
        ] {
            assert_eq!(bench.hint(&pod, &Event::of_node(old, Some(new))), want);
        }
    }
}
