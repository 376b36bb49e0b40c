//! NodeResourcesFit: a pod goes where what it asks for is left, and rather
//! where much (or, as configured, little) is left.
//!
//! Follows pkg/scheduler/framework/plugins/noderesources/fit.go.

use std::sync::Arc;

use super::resource_allocation::{Wanted, score};
use crate::cluster::{Cluster, NodeId};
use crate::config::{Config, ScoringStrategy};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection};
use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::resources::Resources;

const TOO_MANY_PODS: u32 = 0;
const CPU: u32 = 1;
const MEMORY: u32 = 2;
const EPHEMERAL_STORAGE: u32 = 3;
/// The pod's scalar resources, in its order, have the numbers from here on.
const FIRST_SCALAR: u32 = 4;

/// The plugin.
pub struct Fit {
    strategy: ScoringStrategy,
    /// The pod's scalar requests: number of the reason, columns, amount.
    scalars: Vec<(u32, Option<usize>, i64)>,
    wanted: Vec<(Wanted, i64)>,
}

impl Fit {
    /// The plugin as configured.
    pub fn new(config: &Config) -> Self {
        Self {
            strategy: config.scoring_strategy.clone(),
            scalars: Vec::new(),
            wanted: Vec::new(),
        }
    }
}

impl Plugin for Fit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        self.scalars.clear();
        let scalars = pod.shape.resources.requests.scalars.iter();
        for ((name, amount), number) in scalars.zip(FIRST_SCALAR..u64::BITS) {
            if *amount > 0 {
                let column = cluster.capacity.scalar_index(name);
                self.scalars.push((number, column, *amount));
            }
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let at = node.index();
        let capacity = &cluster.capacity;
        let (have, used) = (&capacity.allocatable, &capacity.requested);
        let wanted = &pod.shape.resources.requests;
        let mut lacks = Lacks::default();
        if used.pods[at] + 1 > have.pods[at] {
            lacks.reasons |= 1 << TOO_MANY_PODS;
        }
        lacks.check(
            CPU,
            wanted.milli_cpu,
            have.milli_cpu[at],
            used.milli_cpu[at],
        );
        lacks.check(MEMORY, wanted.memory, have.memory[at], used.memory[at]);
        let storage = (have.ephemeral_storage[at], used.ephemeral_storage[at]);
        lacks.check(
            EPHEMERAL_STORAGE,
            wanted.ephemeral_storage,
            storage.0,
            storage.1,
        );
        for &(number, column, amount) in &self.scalars {
            let (have, used) = column.map_or((0, 0), |column| {
                let scalar = capacity.scalar_at(column);
                (scalar.allocatable[at], scalar.requested[at])
            });
            lacks.check(number, amount, have, used);
        }
        lacks.rejection()
    }

    fn reason(&self, pod: &PodInfo, number: u32) -> String {
        match number {
            TOO_MANY_PODS => "Too many pods".into(),
            CPU => "Insufficient cpu".into(),
            MEMORY => "Insufficient memory".into(),
            EPHEMERAL_STORAGE => "Insufficient ephemeral-storage".into(),
            _ => {
                let scalars = &pod.shape.resources.requests.scalars;
                let scalar = scalars.get((number - FIRST_SCALAR) as usize);
                format!("Insufficient {}", scalar.map_or("", |(name, _)| name))
            }
        }
    }

    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        self.wanted.clear();
        for (name, weight) in &self.strategy.resources {
            let wanted = Wanted::of(cluster, pod, name, true);
            self.wanted.push((wanted, *weight));
        }
        true
    }

    fn score(&self, cluster: &Cluster, _pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        let kind = &self.strategy.kind;
        for (to, node) in scores.iter_mut().zip(nodes) {
            let wanted = self.wanted.iter();
            let shares = wanted.map(|(wanted, w)| (wanted.on(&cluster.capacity, *node), *w));
            *to = score(kind, shares);
        }
    }

    fn events(&self) -> Events {
        Events::POD_DELETE
            | Events::POD_SCALE_DOWN
            | Events::OWN_SCALE_DOWN
            | Events::NODE_ADD
            | Events::NODE_ALLOCATABLE
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Pod {
                old: Some(_),
                new: None,
            }
            | Change::Own => Hint::Queue,
            Change::Pod {
                old: Some(old),
                new: Some(new),
            } => Hint::queue_if(frees_what_is_wanted(pod, old, new)),
            Change::Node {
                old,
                new: Some(new),
            } => Hint::queue_if(
                fits_alone(pod, new) && old.is_none_or(|old| has_more(pod, old, new)),
            ),
            _ => Hint::Skip,
        }
    }
}

/// What a node lacks for a pod.
#[derive(Default)]
struct Lacks {
    reasons: u64,
    /// Whether even the empty node would lack something.
    for_good: bool,
}

impl Lacks {
    fn check(&mut self, number: u32, wanted: i64, have: i64, used: i64) {
        if wanted > 0 && wanted > have - used {
            self.reasons |= 1 << number;
            self.for_good |= wanted > have;
        }
    }

    fn rejection(self) -> Option<Rejection> {
        let code = if self.for_good {
            Code::UnschedulableAndUnresolvable
        } else {
            Code::Unschedulable
        };
        (self.reasons != 0).then_some(Rejection {
            code,
            reasons: self.reasons,
        })
    }
}

/// Every resource that the pod wants, with what two vectors have of it.
fn wanted_of<'a>(
    pod: &'a PodInfo,
    first: &'a Resources,
    second: &'a Resources,
) -> impl Iterator<Item = (i64, i64, i64)> + 'a {
    let wanted = &pod.shape.resources.requests;
    let common = ["cpu", "memory", "ephemeral-storage"].into_iter();
    let names = common.chain(wanted.scalars.iter().map(|(name, _)| &**name));
    let all = names.map(|name| (wanted.get(name), first.get(name), second.get(name)));
    all.filter(|(wanted, ..)| *wanted > 0)
}

fn frees_what_is_wanted(pod: &PodInfo, old: &PodInfo, new: &PodInfo) -> bool {
    let [old, new] = [old, new].map(|pod| &pod.shape.resources.requests);
    wanted_of(pod, old, new).any(|(_, old, new)| new < old)
}

fn fits_alone(pod: &PodInfo, node: &NodeInfo) -> bool {
    let have = &node.allocatable;
    node.allowed_pods >= 1 && wanted_of(pod, have, have).all(|(wanted, have, _)| wanted <= have)
}

fn has_more(pod: &PodInfo, old: &NodeInfo, new: &NodeInfo) -> bool {
    new.allowed_pods > old.allowed_pods
        || wanted_of(pod, &old.allocatable, &new.allocatable).any(|(_, old, new)| new > old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScoringKind;
    use crate::plugins::testing::{Bench, Verdict, node_info, unresolvable, unschedulable};
    use crate::testing::{NodeBuilder, PodBuilder, node, pod};

    const ROOM: &str =
        "cpu=10m,memory=20,pods=32,example.com/aaa=5,ephemeral-storage=20,hugepages-2Mi=5";

    fn verdict(used: &str, wanted: PodBuilder) -> Verdict {
        let mut bench = Bench::new("NodeResourcesFit", [node("n").allocatable(ROOM)])
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

    fn scores(
        kind: ScoringKind,
        pods: &[PodBuilder],
        wanted: PodBuilder,
        nodes: &[&str],
    ) -> Vec<i64> {
        let mut config = Config::default();
        config.scoring_strategy.kind = kind;
        let nodes = nodes
            .iter()
            .enumerate()
            .map(|(at, room)| -> NodeBuilder { node(&format!("n{at}")).allocatable(room) });
        let mut bench =
            Bench::with("NodeResourcesFit", &config, nodes).placed(pods.iter().cloned());
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
}
