//! Cases of PodTopologySpread.

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
    let min =
        |domains: i32| foo().spread_with(1, "zone", true, "foo", |c| c.min_domains = Some(domains));
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
    let mut bench =
        Bench::new(NAME, four()).placed([pod("old").label("foo", "").label("rev", "1").node("a")]);
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

/// Scores of upstream's own cases (scoring_test.go): nodes a and b of zone
/// 1, x and y of zone 2; pods by node and labels; which nodes are candidates.
#[test]
fn numbers_of_upstream() {
    let host = |name: &str, zone: &str| node(name).label(LABEL_HOSTNAME, name).label("zone", zone);
    let nodes = || {
        vec![
            host("a", "1"),
            host("b", "1"),
            host("x", "2"),
            host("y", "2"),
        ]
    };
    let foos = |counts: [usize; 4]| {
        let counts = ["a", "b", "x", "y"].into_iter().zip(counts);
        counts
            .flat_map(|(node, count)| std::iter::repeat_n((node, "foo"), count))
            .collect::<Vec<_>>()
    };
    type Constraints = &'static [(i32, &'static str, &'static str)];
    type Case = (
        Constraints,
        Vec<(&'static str, &'static str)>,
        &'static [usize],
        &'static [i64],
    );
    let cases: [Case; 9] = [
        (
            &[(1, LABEL_HOSTNAME, "-")],
            foos([2, 1, 0, 3]),
            &[0, 1, 2, 3],
            &[100; 4],
        ),
        (
            &[(1, LABEL_HOSTNAME, "foo")],
            foos([2, 1, 0, 3]),
            &[0, 1, 2, 3],
            &[20, 60, 100, 0],
        ),
        (
            &[(2, LABEL_HOSTNAME, "foo")],
            foos([2, 1, 0, 3]),
            &[0, 1, 2, 3],
            &[33, 66, 100, 16],
        ),
        (
            &[(3, LABEL_HOSTNAME, "foo")],
            foos([4, 3, 2, 1]),
            &[0, 1, 2, 3],
            &[44, 66, 77, 100],
        ),
        (
            &[(1, LABEL_HOSTNAME, "foo")],
            foos([4, 2, 1, 3]),
            &[0, 1, 2],
            &[33, 83, 100],
        ),
        (
            &[(1, "zone", "foo")],
            foos([4, 2, 1, 3]),
            &[0, 1, 2],
            &[75, 75, 100],
        ),
        (
            &[(1, "zone", "foo"), (1, LABEL_HOSTNAME, "foo")],
            foos([2, 1, 2, 4]),
            &[0, 2],
            &[100, 63],
        ),
        (
            &[(1, "zone", "foo"), (1, "zone", "bar")],
            vec![
                ("a", "foo,bar"),
                ("a", "foo"),
                ("b", "foo,bar"),
                ("y", "foo"),
                ("y", "foo,bar"),
                ("y", "foo"),
            ],
            &[0, 2],
            &[85, 100],
        ),
        (
            &[(1, "zone", "foo"), (1, LABEL_HOSTNAME, "bar")],
            vec![("a", "foo"), ("b", "foo,bar"), ("y", "foo"), ("y", "bar")],
            &[0, 1, 2, 3],
            &[60, 20, 100, 60],
        ),
    ];
    for (constraints, placed, candidates, want) in cases {
        let placed = placed.iter().enumerate().map(|(at, (node, labels))| {
            let pod = pod(&format!("old-{at}")).node(node);
            labels
                .split(',')
                .fold(pod, |pod, label| pod.label(label, ""))
        });
        let mut bench = Bench::new(NAME, nodes()).placed(placed);
        let pod = constraints
            .iter()
            .fold(foo().label("bar", ""), |pod, (skew, key, of)| {
                pod.spread(*skew, key, false, of)
            });
        let got = bench.scores_of(pod, candidates);
        assert_eq!(got.as_deref(), Some(want), "{constraints:?}");
    }
}

#[test]
fn numbers_of_upstream_without_zones() {
    let host = |name: &str| node(name).label(LABEL_HOSTNAME, name);
    let pods = foos(&[("a", 4), ("b", 3), ("c", 2), ("d", 1)]);
    let mut bench = Bench::new(NAME, ["a", "b", "c", "d"].map(host)).placed(pods);
    let workloads = &mut bench.cluster.workloads;
    workloads.set_service("default", "s", [("foo", "")].into_iter());
    assert_eq!(bench.scores(foo()), Some(vec![44, 66, 77, 100]));
    let pods = foos(&[("a", 4), ("b", 2), ("x", 1), ("y", 3)]);
    let nodes = [host("a"), node("b").label("n", "b"), host("x"), host("y")];
    let mut bench = Bench::new(NAME, nodes).placed(pods);
    let pod = foo().spread(1, LABEL_HOSTNAME, false, "foo");
    assert_eq!(bench.scores_of(pod, &[0, 1, 2]), Some(vec![16, 0, 100]));
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
