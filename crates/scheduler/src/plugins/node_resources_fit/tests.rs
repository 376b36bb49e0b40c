//! Cases of NodeResourcesFit.

use super::*;
use crate::config::ScoringKind;
use crate::plugins::testing::{Bench, Verdict, node_info, unresolvable, unschedulable};
use crate::testing::{NodeBuilder, PodBuilder, node, pod};

const ROOM: &str =
    "cpu=10m,memory=20,pods=32,example.com/aaa=5,ephemeral-storage=20,hugepages-2Mi=5";

fn verdict(used: &str, wanted: PodBuilder) -> Verdict {
    let mut bench =
        Bench::new("NodeResourcesFit", [node("n").allocatable(ROOM)])
            .placed([pod("old").container(used).node("n")]);
    bench.filter(wanted).remove(0)
}

#[test]
fn what_is_asked_for_must_be_left() {
    let cpu = || unschedulable(&["Insufficient cpu"]);
    let memory = || unschedulable(&["Insufficient memory"]);
    let p = |requests: &str| pod("p").container(requests);
    for (used, wanted, want) in [
        ("cpu=10m,memory=20", pod("p"), Ok(())),
        (
            "cpu=10m,memory=20",
            p("cpu=1m,memory=1"),
            unschedulable(&["Insufficient cpu", "Insufficient memory"]),
        ),
        (
            "cpu=8m,memory=19",
            p("cpu=1m,memory=1").init("cpu=3m,memory=1"),
            cpu(),
        ),
        (
            "cpu=8m,memory=19",
            p("cpu=1m,memory=1")
                .init("cpu=3m,memory=1")
                .init("cpu=2m,memory=1"),
            cpu(),
        ),
        (
            "cpu=9m,memory=19",
            p("cpu=1m,memory=1").init("cpu=1m,memory=3"),
            memory(),
        ),
        (
            "cpu=9m,memory=19",
            p("cpu=1m,memory=1").init("cpu=1m,memory=1"),
            Ok(()),
        ),
        ("cpu=5m,memory=5", p("cpu=1m,memory=1"), Ok(())),
        ("cpu=9m,memory=5", p("cpu=2m,memory=1"), cpu()),
        ("cpu=5m,memory=19", p("cpu=1m,memory=2"), memory()),
        ("cpu=5m,memory=19", p("cpu=5m,memory=1"), Ok(())),
        (
            "cpu=5m,memory=19",
            p("cpu=4m,memory=1").init("cpu=5m,memory=1"),
            Ok(()),
        ),
        (
            "cpu=5m,memory=5",
            p("cpu=3m,memory=3").overhead("cpu=3m,memory=12"),
            cpu(),
        ),
        (
            "cpu=5m,memory=5",
            p("cpu=1m,memory=1").overhead("cpu=1m,memory=15"),
            memory(),
        ),
        ("", p("cpu=11m"), unresolvable(&["Insufficient cpu"])),
        ("ephemeral-storage=10", p("ephemeral-storage=10"), Ok(())),
        (
            "ephemeral-storage=10",
            p("ephemeral-storage=11"),
            unschedulable(&["Insufficient ephemeral-storage"]),
        ),
    ] {
        let shown = format!("{:?} beside {used}", wanted.clone().build().spec);
        assert_eq!(verdict(used, wanted), want, "{shown}");
    }
}

#[test]
fn extended_resources_and_huge_pages() {
    let p = |requests: &str| pod("p").container(requests);
    let aaa = "Insufficient example.com/aaa";
    for (used, wanted, want) in [
        ("", p("example.com/aaa=1"), Ok(())),
        (
            "example.com/aaa=0",
            p("example.com/aaa=10"),
            unresolvable(&[aaa]),
        ),
        (
            "example.com/aaa=5",
            p("example.com/aaa=1"),
            unschedulable(&[aaa]),
        ),
        (
            "example.com/aaa=2",
            p("example.com/aaa=3").container("example.com/aaa=3"),
            unresolvable(&[aaa]),
        ),
        (
            "example.com/aaa=2",
            p("").init("example.com/aaa=3").init("example.com/aaa=3"),
            Ok(()),
        ),
        (
            "",
            p("example.com/bbb=1"),
            unresolvable(&["Insufficient example.com/bbb"]),
        ),
        ("", p("example.com/bbb=0"), Ok(())),
        (
            "hugepages-2Mi=5",
            p("hugepages-2Mi=1"),
            unschedulable(&["Insufficient hugepages-2Mi"]),
        ),
        (
            "example.com/aaa=5,hugepages-2Mi=5",
            p("example.com/aaa=1,hugepages-2Mi=1,cpu=1m"),
            unschedulable(&[aaa, "Insufficient hugepages-2Mi"]),
        ),
    ] {
        assert_eq!(verdict(used, wanted), want, "beside {used}");
    }
}

#[test]
fn nodes_have_room_for_so_many_pods() {
    let full = node("n").allocatable("cpu=10,memory=10Gi,pods=1");
    let mut bench = Bench::new("NodeResourcesFit", [full]).placed([pod("old").node("n")]);
    assert_eq!(bench.filter(pod("p")), [unschedulable(&["Too many pods"])]);
    let both = unschedulable(&["Too many pods", "Insufficient cpu"]);
    let mut bench = Bench::new(
        "NodeResourcesFit",
        [node("n").allocatable("cpu=10,memory=10Gi,pods=1")],
    )
    .placed([pod("old").container("cpu=10").node("n")]);
    assert_eq!(bench.filter(pod("p").container("cpu=1")), [both]);
}

fn scores(kind: ScoringKind, pods: &[PodBuilder], wanted: PodBuilder, nodes: &[&str]) -> Vec<i64> {
    let mut config = Config::default();
    config.scoring_strategy.kind = kind;
    let nodes = nodes
        .iter()
        .enumerate()
        .map(|(at, room)| -> NodeBuilder { node(&format!("n{at}")).allocatable(room) });
    let mut bench = Bench::with("NodeResourcesFit", &config, nodes).placed(pods.iter().cloned());
    bench.scores(wanted).unwrap()
}

/// Two containers that state everything.
fn both(cpu: [i64; 2], memory: [i64; 2]) -> PodBuilder {
    let container = |at: usize| format!("cpu={}m,memory={}", cpu[at], memory[at]);
    pod("p").container(&container(0)).container(&container(1))
}

#[test]
fn least_allocated() {
    let least = || ScoringKind::LeastAllocated;
    let equal = ["cpu=4,memory=10000", "cpu=4,memory=10000"];
    assert_eq!(scores(least(), &[], pod("p"), &equal), [100, 100]);
    let wanted = || both([1000, 2000], [2000, 3000]);
    let unlike = ["cpu=4,memory=10000", "cpu=6,memory=10000"];
    assert_eq!(scores(least(), &[], wanted(), &unlike), [37, 50]);
    let placed = [
        both([1000, 2000], [0, 0])
            .node("n0")
            .with(|p| p.metadata.uid = Some("1".into())),
        both([1000, 2000], [0, 0])
            .node("n0")
            .with(|p| p.metadata.uid = Some("2".into())),
        both([1000, 2000], [0, 0])
            .node("n1")
            .with(|p| p.metadata.uid = Some("3".into())),
        both([1000, 2000], [2000, 3000])
            .node("n1")
            .with(|p| p.metadata.uid = Some("4".into())),
    ];
    let room = ["cpu=10,memory=20000", "cpu=10,memory=20000"];
    assert_eq!(scores(least(), &placed, pod("q"), &room), [70, 57]);
    let over = ["cpu=4,memory=10000", "cpu=4,memory=10000"];
    assert_eq!(scores(least(), &placed[2..], wanted(), &over), [37, 0]);
    assert_eq!(scores(least(), &[], wanted(), &["memory=10000"]), [50]);
    assert_eq!(scores(least(), &[], wanted(), &["pods=10"]), [0]);
}

#[test]
fn most_allocated_and_ratio() {
    let wanted = || both([1000, 2000], [2000, 3000]);
    let unlike = ["cpu=4,memory=10000", "cpu=6,memory=10000"];
    assert_eq!(
        scores(ScoringKind::MostAllocated, &[], wanted(), &unlike),
        [62, 50]
    );
    let shape = ScoringKind::RequestedToCapacityRatio(vec![(0, 10), (100, 0)]);
    assert_eq!(scores(shape.clone(), &[], wanted(), &unlike), [38, 50]);
    assert_eq!(scores(shape, &[], pod("p"), &unlike), [100, 100]);
}

#[test]
fn events_that_make_room_help() {
    let mut bench = Bench::new("NodeResourcesFit", []);
    let waiting = bench.read(pod("w").container("cpu=2"));
    let placed = bench.read(pod("o").container("cpu=2,memory=5").node("n"));
    let less = bench.read(pod("o").container("cpu=1,memory=5").node("n"));
    let other = bench.read(pod("o").container("cpu=2,memory=4").node("n"));
    assert_eq!(
        bench.hint(&waiting, &Event::of_pod(Some(&placed), None)),
        Hint::Queue
    );
    assert_eq!(
        bench.hint(&waiting, &Event::of_pod(None, Some(&placed))),
        Hint::Skip
    );
    assert_eq!(
        bench.hint(&waiting, &Event::of_pod(Some(&placed), Some(&less))),
        Hint::Queue
    );
    assert_eq!(
        bench.hint(&waiting, &Event::of_pod(Some(&placed), Some(&other))),
        Hint::Skip
    );
    let room = |text: &str| node_info(node("n").allocatable(text));
    let (small, large) = (room("cpu=1,pods=1"), room("cpu=2,pods=1"));
    let (larger, memory) = (room("cpu=3,pods=1"), room("cpu=2,pods=1,memory=9"));
    for (old, new, want) in [
        (None, &large, Hint::Queue),
        (None, &small, Hint::Skip),
        (Some(&small), &large, Hint::Queue),
        (Some(&large), &larger, Hint::Queue),
        (Some(&larger), &large, Hint::Skip),
        (Some(&large), &memory, Hint::Skip),
    ] {
        assert_eq!(bench.hint(&waiting, &Event::of_node(old, Some(new))), want);
    }
}
