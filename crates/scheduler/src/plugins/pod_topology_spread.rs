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
mod tests {
    use super::*;
    use crate::plugins::testing::{Bench, Verdict, node_info, unresolvable, unschedulable};
    use crate::selector::Selector;
    use crate::testing::{NodeBuilder, PodBuilder, node, pod, selector};

    const NAME: &str = "PodTopologySpread";

    /// `a` and `b` are of zone 1, `x` and `y` of zone 2.
    fn four() -> Vec<NodeBuilder> {
        let node = |name: &str, zone: &str| node(name).label("zone", zone).label("node", name);
        vec![
            node("a", "zone1"),
            node("b", "zone1"),
            node("x", "zone2"),
            node("y", "zone2"),
        ]
    }

    /// Pods with the label `foo`, as many on each node as the list says.
    fn foos(counts: &[(&str, usize)]) -> Vec<PodBuilder> {
        let on = |(node, count): &(&str, usize)| {
            let node = (*node).to_owned();
            (0..*count).map(move |at| pod(&format!("{node}{at}")).label("foo", "").node(&node))
        };
        counts.iter().flat_map(on).collect()
    }

    fn accepted(nodes: Vec<NodeBuilder>, placed: &[(&str, usize)], pod: PodBuilder) -> String {
        let mut bench = Bench::new(NAME, nodes).placed(foos(placed));
        bench.accepted(pod).join(",")
    }

    fn foo() -> PodBuilder {
        pod("p").label("foo", "")
    }

    #[test]
    fn pods_go_where_the_skew_allows() {
        let zone = || foo().spread(1, "zone", true, "foo");
        let node = || foo().spread(1, "node", true, "foo");
        assert_eq!(accepted(four(), &[], zone()), "a,b,x,y");
        assert_eq!(
            accepted(four(), &[("a", 3), ("b", 0), ("x", 2)], zone()),
            "x,y"
        );
        assert_eq!(
            accepted(four(), &[("a", 2), ("b", 1), ("x", 3)], zone()),
            "a,b,x,y"
        );
        assert_eq!(
            accepted(four(), &[("a", 2), ("b", 1), ("y", 3)], node()),
            "x"
        );
        let wide = foo().spread(2, "zone", true, "foo");
        assert_eq!(accepted(four(), &[("a", 3), ("x", 2)], wide), "a,b,x,y");
        let stranger = pod("p").spread(1, "zone", true, "foo");
        assert_eq!(
            accepted(four(), &[("a", 1), ("b", 1), ("x", 1)], stranger),
            "a,b,x,y"
        );
        let stranger = pod("p").spread(1, "zone", true, "foo");
        assert_eq!(accepted(four(), &[("a", 3), ("x", 1)], stranger), "x,y");
    }

    #[test]
    fn all_constraints_hold_at_once() {
        let both = || {
            foo()
                .spread(1, "zone", true, "foo")
                .spread(1, "node", true, "foo")
        };
        assert_eq!(
            accepted(four(), &[("a", 2), ("b", 1), ("x", 2), ("y", 3)], both()),
            "b"
        );
        assert_eq!(
            accepted(four(), &[("a", 1), ("x", 2), ("y", 1)], both()),
            "b"
        );
        assert_eq!(
            accepted(four(), &[("a", 1), ("b", 1), ("y", 2)], both()),
            "x"
        );
        assert_eq!(
            accepted(four(), &[("a", 3), ("x", 1), ("y", 1)], both()),
            ""
        );
    }

    #[test]
    fn nodes_without_the_label_are_out() {
        let nodes = || vec![node("a").label("zone", "z"), node("b").label("zon", "z")];
        let mut bench = Bench::new(NAME, nodes()).placed(foos(&[("b", 3)]));
        let missing: Verdict = unresolvable(&[
            "node(s) didn't match pod topology spread constraints (missing required label)",
        ]);
        let got = bench.filter(foo().spread(1, "zone", true, "foo"));
        assert_eq!(got, [Ok(()), missing]);
        let mut bench = Bench::new(NAME, four()).placed(foos(&[("a", 2)]));
        let uneven = unschedulable(&["node(s) didn't match pod topology spread constraints"]);
        let got = bench.filter(foo().spread(1, "zone", true, "foo"));
        assert_eq!(got, [uneven.clone(), uneven, Ok(()), Ok(())]);
    }

    #[test]
    fn too_few_domains_make_the_least_nothing() {
        let min = |domains: i32| {
            foo().spread_with(1, "zone", true, "foo", |c| c.min_domains = Some(domains))
        };
        let placed = [("a", 1), ("x", 1)];
        assert_eq!(accepted(four(), &placed, min(2)), "a,b,x,y");
        assert_eq!(accepted(four(), &placed, min(3)), "");
        assert_eq!(accepted(four(), &[("a", 1)], min(3)), "x,y");
    }

    #[test]
    fn inclusion_policies() {
        let nodes = || {
            let mut nodes = four();
            nodes.push(node("z").label("zone", "zone3").label("node", "z").taint(
                "t",
                "",
                "NoSchedule",
            ));
            nodes
        };
        let placed = [("a", 1), ("x", 1)];
        // The tainted node is a domain of its own, unless taints are honored.
        let plain = foo().spread(1, "zone", true, "foo");
        assert_eq!(accepted(nodes(), &placed, plain), "z");
        let honoring = foo().spread_with(1, "zone", true, "foo", |c| {
            c.node_taints_policy = Some("Honor".into());
        });
        assert_eq!(accepted(nodes(), &placed, honoring), "a,b,x,y,z");
        // Nodes that the pod's node affinity excludes do not count, unless
        // affinity is ignored.
        let selecting = || foo().node_affinity("node in (a|b|x|y)");
        let plain = selecting().spread(1, "zone", true, "foo");
        assert_eq!(accepted(nodes(), &placed, plain), "a,b,x,y,z");
        let ignoring = selecting().spread_with(1, "zone", true, "foo", |c| {
            c.node_affinity_policy = Some("Ignore".into());
        });
        assert_eq!(accepted(nodes(), &placed, ignoring), "z");
    }

    #[test]
    fn label_keys_narrow_the_selector() {
        let keyed = |value: &str| {
            pod("p")
                .label("foo", "")
                .label("rev", value)
                .spread_with(1, "zone", true, "foo", |c| {
                    c.match_label_keys = Some(vec!["rev".into(), "absent".into()]);
                })
        };
        let mut bench = Bench::new(NAME, four())
            .placed([pod("old").label("foo", "").label("rev", "1").node("a")]);
        assert_eq!(bench.accepted(keyed("1")).join(","), "x,y");
        assert_eq!(bench.accepted(keyed("2")).join(","), "a,b,x,y");
    }

    #[test]
    fn pods_of_other_namespaces_and_dying_ones_do_not_count() {
        let mut bench = Bench::new(NAME, four()).placed([
            pod("1").label("foo", "").node("a").namespace("other"),
            pod("2").label("foo", "").node("a").terminating(),
            pod("3").label("foo", "").node("a"),
        ]);
        let wide = foo().spread(2, "zone", true, "foo");
        assert_eq!(bench.accepted(wide).join(","), "a,b,x,y");
        let narrow = foo().spread(1, "zone", true, "foo");
        assert_eq!(bench.accepted(narrow).join(","), "x,y");
    }

    fn scores(placed: &[(&str, usize)], pod: PodBuilder) -> Option<Vec<i64>> {
        Bench::new(NAME, four()).placed(foos(placed)).scores(pod)
    }

    #[test]
    fn soft_constraints_score() {
        assert_eq!(scores(&[], foo()), None);
        assert_eq!(scores(&[], foo().spread(1, "zone", true, "foo")), None);
        let zone = || foo().spread(1, "zone", false, "foo");
        assert_eq!(scores(&[], zone()), Some(vec![100, 100, 100, 100]));
        // Zones have 2 and 1 pods; weight ln(4): 2.77 and 1.39, so 3 and 1.
        assert_eq!(
            scores(&[("a", 1), ("b", 1), ("x", 1)], zone()),
            Some(vec![33, 33, 100, 100])
        );
        // Nodes have 2, 1, 0, 3; weight ln(6): 3.58, 1.79, 0, 5.38: 4, 2, 0, 5.
        let node = foo().spread(1, "node", false, "foo");
        assert_eq!(
            scores(&[("a", 2), ("b", 1), ("y", 3)], node),
            Some(vec![20, 60, 100, 0])
        );
        let host = foo()
            .spread(1, "node", false, "foo")
            .spread(1, "zone", false, "foo");
        // a: 2 ln 6 + 3 ln 4 = 7.74; b: 1.79 + 4.16 = 5.95; x, y: 0 + 0.
        assert_eq!(
            scores(&[("a", 2), ("b", 1)], host),
            Some(vec![0, 25, 100, 100])
        );
    }

    #[test]
    fn nodes_without_the_label_score_nothing() {
        let nodes = vec![node("a").label("zone", "z"), node("b")];
        let mut bench = Bench::new(NAME, nodes);
        let got = bench.scores(foo().spread(1, "zone", false, "foo"));
        assert_eq!(got, Some(vec![100, 0]));
    }

    #[test]
    fn pods_of_nodes_that_are_not_candidates_count_for_zones() {
        let mut bench = Bench::new(NAME, four()).placed(foos(&[("b", 4), ("x", 1)]));
        let pod = foo().spread(1, "zone", false, "foo");
        // a: 4 ln 4 = 5.55, x: 1.39.
        assert_eq!(bench.scores_of(pod, &[0, 2]), Some(vec![16, 100]));
    }

    #[test]
    fn siblings_are_spread_by_default() {
        let host = |name: &str, zone: &str| {
            node(name)
                .label(LABEL_HOSTNAME, name)
                .label(crate::node::LABEL_ZONE, zone)
        };
        let nodes = || vec![host("a", "1"), host("b", "1"), host("c", "2")];
        let sibling = |name: &str| pod(name).label("app", "web").owner("ReplicaSet", "web-1");
        let mut bench = Bench::new(NAME, nodes()).placed([sibling("s").node("a")]);
        assert_eq!(bench.scores(sibling("p")), None);
        let of_set = Selector::compile(selector("app=web").as_ref()).unwrap();
        let workloads = &mut bench.cluster.workloads;
        workloads.set_controller("ReplicaSet", "default", "web-1", of_set);
        // a: ln 5 + 2 + ln 4 + 4 = 9; b: 2 + 1.39 + 4 = 7; c: 6.
        assert_eq!(bench.scores(sibling("p")), Some(vec![66, 88, 100]));

        let mut bench = Bench::new(NAME, nodes()).placed([pod("s").label("app", "web").node("c")]);
        let workloads = &mut bench.cluster.workloads;
        workloads.set_service("default", "svc", [("app", "web")].into_iter());
        assert_eq!(
            bench.scores(pod("p").label("app", "web")),
            Some(vec![100, 100, 66])
        );
        assert_eq!(bench.scores(pod("p").label("app", "db")), None);
    }

    #[test]
    fn events_that_change_the_counts_help() {
        let mut bench = Bench::new(NAME, []);
        let waiting = bench.read(foo().spread(1, "zone", true, "foo"));
        let like = bench.read(pod("l").label("foo", "").node("a"));
        let unlike = bench.read(pod("u").label("bar", "").node("a"));
        let far = bench.read(pod("f").label("foo", "").node("a").namespace("other"));
        for (old, new, want) in [
            (None, Some(&like), Hint::Queue),
            (None, Some(&unlike), Hint::Skip),
            (None, Some(&far), Hint::Skip),
            (Some(&like), None, Hint::Queue),
            (Some(&unlike), None, Hint::Skip),
            (Some(&like), Some(&unlike), Hint::Queue),
        ] {
            let event = Event::of_pod(old.map(|p| &**p), new.map(|p| &**p));
            assert_eq!(bench.hint(&waiting, &event), want, "{old:?} {new:?}");
        }
        let zone = |zone: &str| node_info(node("a").label("zone", zone));
        let (one, two, none) = (zone("1"), zone("2"), node_info(node("a")));
        for (old, new, want) in [
            (None, Some(&one), Hint::Queue),
            (None, Some(&none), Hint::Skip),
            (Some(&one), None, Hint::Queue),
            (Some(&one), Some(&two), Hint::Queue),
            (Some(&none), Some(&one), Hint::Queue),
            (Some(&none), None, Hint::Skip),
        ] {
            assert_eq!(bench.hint(&waiting, &Event::of_node(old, new)), want);
        }
    }
}
