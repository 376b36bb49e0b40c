//! Pods, nodes and events in, decisions out.

use super::*;
use crate::testing::{NodeBuilder, PodBuilder, node, pod, term};
use expect_test::{Expect, expect};
use std::time::Duration;
use stdx::Timestamp;

/// A scheduler and what it decided, a line each.
struct Fixture {
    scheduler: Scheduler,
}

impl Fixture {
    fn new(nodes: impl IntoIterator<Item = NodeBuilder>) -> Self {
        let clock = Clock::simulated(Timestamp::UNIX_EPOCH);
        let scheduler = Scheduler::new(&Config::default(), clock, Rng::seeded(1));
        let mut fixture = Self {
            scheduler: scheduler.unwrap(),
        };
        for node in nodes {
            fixture.node(node);
        }
        fixture
    }

    fn node(&mut self, node: NodeBuilder) {
        self.scheduler.node_added(&node.build()).unwrap();
    }

    fn pod(&mut self, pod: PodBuilder) {
        self.scheduler.pod_added(&pod.build()).unwrap();
    }

    fn decide(&mut self) -> String {
        match self.scheduler.next_decision() {
            Decision::Bind { pod, node } => format!("{} -> {node}", pod.name()),
            Decision::Unschedulable {
                pod,
                message,
                plugins,
            } => format!("{}: {message} {plugins:?}", pod.name()),
            Decision::Gated { pod, message } => format!("{}: {message}", pod.name()),
            Decision::Idle { .. } => "idle".into(),
        }
    }

    fn decisions(&mut self) -> String {
        let mut lines = String::new();
        loop {
            let line = self.decide();
            if line == "idle" {
                return lines;
            }
            lines.push_str(&line);
            lines.push('\n');
        }
    }

    fn check(&mut self, expect: Expect) {
        expect.assert_eq(&self.decisions());
    }

    /// Binds as the API server would tell it.
    fn confirm(&mut self, pod: PodBuilder, node: &str) {
        let uid = pod.clone().build().metadata.uid.unwrap();
        self.scheduler.bind_confirmed(&uid);
        self.pod(pod.node(node));
    }
}

fn cpu(name: &str, amount: &str) -> PodBuilder {
    pod(name).container(&format!("cpu={amount}"))
}

#[tokio::test(start_paused = true)]
async fn pods_fill_nodes_and_then_wait() {
    let mut fixture = Fixture::new([node("a").allocatable("cpu=2,pods=10")]);
    for name in ["p1", "p2", "p3"] {
        fixture.pod(cpu(name, "1"));
    }
    fixture.check(expect![[r#"
        p1 -> a
        p2 -> a
        p3: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod. ["NodeResourcesFit"]
    "#]]);
    fixture.confirm(cpu("p1", "1"), "a");
    fixture.check(expect![[""]]);
    assert_eq!(fixture.scheduler.node_of("uid-p1"), Some(("a", false)));
    assert_eq!(fixture.scheduler.node_of("uid-p2"), Some(("a", true)));
    fixture.scheduler.pod_gone("uid-p1");
    fixture.check(expect![[r#"
        p3 -> a
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn work_is_spread_over_nodes() {
    let mut fixture = Fixture::new(["a", "b", "c"].map(node));
    for at in 0..6 {
        fixture.pod(cpu(&format!("p{at}"), "500m"));
    }
    let decisions = fixture.decisions();
    for name in ["a", "b", "c"] {
        let count = decisions
            .lines()
            .filter(|line| line.ends_with(&format!("-> {name}")));
        assert_eq!(count.count(), 2, "{decisions}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_of_all_kinds() {
    let small = |name: &str| node(name).allocatable("cpu=1,memory=10,pods=1");
    let mut fixture = Fixture::new([
        small("a"),
        small("b").unschedulable(),
        small("c").taint("dedicated", "x", "NoSchedule"),
        small("d").label("disk", "ssd"),
    ]);
    fixture.pod(pod("old").node("d"));
    fixture.pod(pod("wants-cpu").container("cpu=2"));
    fixture.pod(pod("selects").node_selector("disk", "hdd"));
    fixture.pod(pod("full").node_selector("disk", "ssd"));
    fixture.pod(pod("named").node_affinity("@metadata.name in (d)"));
    fixture.pod(pod("claims").claim("data"));
    fixture.pod(pod("polite").container("cpu=2").spec(|spec| {
        spec.preemption_policy = Some("Never".into());
    }));
    fixture.check(expect![[r#"
        wants-cpu: 0/4 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling. ["NodeUnschedulable", "TaintToleration", "NodeResourcesFit"]
        selects: 0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling. ["NodeUnschedulable", "TaintToleration", "NodeAffinity"]
        full: 0/4 nodes are available: 1 Too many pods, 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. preemption: 0/4 nodes are available: 1 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling. ["NodeUnschedulable", "TaintToleration", "NodeAffinity", "NodeResourcesFit"]
        named: 0/4 nodes are available: 1 Too many pods, 3 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/4 nodes are available: 1 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling. ["NodeAffinity", "NodeResourcesFit"]
        claims: 0/4 nodes are available: pod uses PersistentVolumeClaims (data), which cannot be bound yet. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling. ["VolumeBinding"]
        polite: 0/4 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never. ["NodeUnschedulable", "TaintToleration", "NodeResourcesFit"]
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn preemption_is_denied_only_where_it_would_not_help() {
    let mut fixture = Fixture::new([node("a").allocatable("cpu=2,pods=10")]);
    fixture.pod(cpu("low", "1").node("a"));
    fixture.pod(cpu("same", "1").priority(10).node("a"));
    fixture.pod(cpu("one", "1").priority(10));
    fixture.pod(cpu("two", "2").priority(10));
    fixture.check(expect![[r#"
        one: 0/1 nodes are available: 1 Insufficient cpu. ["NodeResourcesFit"]
        two: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu. ["NodeResourcesFit"]
    "#]]);
    assert_eq!(fixture.scheduler.placed_count(), 2);
    // What was taken away to look was put back.
    fixture.pod(cpu("three", "1"));
    fixture.check(expect![[r#"
        three: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod. ["NodeResourcesFit"]
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn without_nodes_a_pod_waits_for_one() {
    let mut fixture = Fixture::new([]);
    fixture.pod(pod("p"));
    fixture.check(expect![[r#"
        p: no nodes available to schedule pods []
    "#]]);
    tokio::time::advance(Duration::from_secs(60)).await;
    fixture.check(expect![[""]]);
    fixture.node(node("a").taint("node.kubernetes.io/not-ready", "", "NoSchedule"));
    fixture.check(expect![[r#"
        p: 0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling. ["TaintToleration"]
    "#]]);
    fixture.node(node("a"));
    fixture.check(expect![[r#"
        p -> a
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn only_events_that_may_help_wake_a_pod() {
    let mut fixture = Fixture::new([node("a").allocatable("cpu=1,pods=10")]);
    fixture.pod(cpu("p", "2"));
    fixture.decisions();
    fixture.node(node("a").allocatable("cpu=1,pods=10").label("x", "y"));
    fixture.pod(pod("other").node("a"));
    fixture.node(node("b").allocatable("cpu=1,pods=10"));
    assert_eq!(fixture.scheduler.pending().unschedulable, 1);
    fixture.node(node("a").allocatable("cpu=2,pods=10"));
    fixture.check(expect![[r#"
        p -> a
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_binding_is_taken_back_and_tried_again() {
    let mut fixture = Fixture::new([node("a").allocatable("cpu=1,pods=10")]);
    fixture.pod(cpu("p", "1"));
    assert_eq!(fixture.decide(), "p -> a");
    fixture.pod(cpu("q", "1"));
    assert!(fixture.decide().starts_with("q: 0/1"));
    fixture.scheduler.bind_failed("uid-p");
    assert_eq!(fixture.scheduler.placed_count(), 0);
    assert_eq!(fixture.decide(), "q -> a");
    assert_eq!(fixture.decide(), "idle");
    fixture.scheduler.bind_failed("uid-unknown");
    tokio::time::advance(Duration::from_secs(3)).await;
    assert!(fixture.decide().starts_with("p: 0/1"));
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_not_ours_to_place() {
    let mut fixture = Fixture::new([node("a")]);
    fixture.pod(pod("other").spec(|spec| spec.scheduler_name = Some("mine".into())));
    fixture.pod(pod("dying").terminating());
    fixture.pod(pod("done").with(|pod| {
        pod.status.get_or_insert_default().phase = Some("Succeeded".into());
    }));
    fixture.check(expect![[""]]);
    fixture.pod(pod("gone"));
    fixture.scheduler.pod_deleted(&pod("gone").build());
    fixture.pod(pod("late"));
    fixture.pod(pod("late").terminating());
    fixture.pod(pod("taken"));
    fixture.pod(pod("taken").node("a"));
    fixture.check(expect![[""]]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_deleted_while_it_is_bound_is_not_tried_again() {
    let mut fixture = Fixture::new([node("a")]);
    fixture.pod(pod("p"));
    assert_eq!(fixture.decide(), "p -> a");
    fixture.pod(pod("p").terminating());
    fixture.scheduler.bind_failed("uid-p");
    assert_eq!(fixture.scheduler.placed_count(), 0);
    tokio::time::advance(Duration::from_secs(30)).await;
    fixture.check(expect![[""]]);
    assert_eq!(fixture.scheduler.pending(), Pending::default());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ends_makes_room() {
    let mut fixture = Fixture::new([node("a").allocatable("cpu=1,pods=10")]);
    fixture.pod(cpu("p", "1").node("a"));
    fixture.pod(cpu("q", "1"));
    fixture.decisions();
    fixture.pod(cpu("p", "1").node("a").with(|pod| {
        pod.status.get_or_insert_default().phase = Some("Failed".into());
    }));
    fixture.check(expect![[r#"
        q -> a
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn gates() {
    let mut fixture = Fixture::new([node("a")]);
    fixture.pod(pod("p").gate("quota").gate("review"));
    fixture.check(expect![[r#"
        p: waiting for scheduling gates: [quota review]
    "#]]);
    fixture.pod(pod("p").gate("quota"));
    fixture.check(expect![[""]]);
    fixture.pod(pod("p"));
    fixture.check(expect![[r#"
        p -> a
    "#]]);
}

#[tokio::test(start_paused = true)]
async fn stale_news_of_an_assumed_pod_changes_nothing() {
    let mut fixture = Fixture::new([node("a"), node("b")]);
    fixture.pod(pod("p"));
    let bound = fixture.decide();
    fixture.pod(pod("p").label("x", "y"));
    fixture.check(expect![[""]]);
    let (node, assumed) = fixture.scheduler.node_of("uid-p").unwrap();
    assert!(assumed && bound.ends_with(node));
    // The API server has the last word.
    let other = if node == "a" { "b" } else { "a" };
    fixture.confirm(pod("p"), other);
    assert_eq!(fixture.scheduler.node_of("uid-p"), Some((other, false)));
}

#[tokio::test(start_paused = true)]
async fn affinity_between_pods_just_decided() {
    let zone = |name: &str, zone: &str| node(name).label("zone", zone);
    let mut fixture = Fixture::new([zone("a", "1"), zone("b", "2"), zone("c", "3")]);
    let apart = |name: &str| pod(name).label("app", "web").far(term("app=web", "zone"));
    for name in ["p1", "p2", "p3", "p4"] {
        fixture.pod(apart(name));
    }
    let decisions = fixture.decisions();
    let mut nodes: Vec<&str> = decisions
        .lines()
        .filter_map(|line| Some(line.split_once(" -> ")?.1))
        .collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["a", "b", "c"]);
    assert!(decisions.contains("p4: 0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."));
    fixture.scheduler.pod_gone("uid-p2");
    assert!(fixture.decide().starts_with("p4 -> "));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_decides_the_same() {
    let run = || {
        let mut fixture = Fixture::new((0..20).map(|at| node(&format!("n{at}"))));
        (0..50).for_each(|at| fixture.pod(pod(&format!("p{at}"))));
        fixture.decisions()
    };
    assert_eq!(run(), run());
}
