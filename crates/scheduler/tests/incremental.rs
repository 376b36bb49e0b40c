//! What events built up must equal what is built at once: after random events,
//! a scheduler that lived through them and one that is told only of the outcome
//! say the same of every node, for pods with every kind of constraint; and a pod
//! goes to one of the nodes that are the best for it.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use std::collections::{BTreeMap, BTreeSet};

use scheduler::{Config, Decision, Explanation, NodeVerdict, Scheduler};
use stdx::{Clock, Rng};
use typed::api::core::v1::{
    Affinity, Container, ContainerImage, ContainerPort, Namespace, Node, NodeSpec, NodeStatus, Pod,
    PodAffinity, PodAffinityTerm, PodAntiAffinity, PodSpec, ResourceRequirements, Service,
    ServiceSpec, Taint, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use typed::meta::{LabelSelector, ObjectMeta};
use typed::{Quantity, Time};

const APPS: [&str; 3] = ["web", "db", "cache"];
const NAMESPACES: [&str; 2] = ["blue", "red"];
const KEYS: [&str; 3] = ["zone", "rack", "kubernetes.io/hostname"];

/// What the API server would hold.
#[derive(Default)]
struct World {
    nodes: BTreeMap<String, Node>,
    pods: BTreeMap<String, Pod>,
    namespaces: BTreeMap<String, Namespace>,
    services: BTreeMap<String, Service>,
}

struct Random(Rng);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn one<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn selector(&self) -> Option<LabelSelector> {
        let app = (*self.one(&APPS)).to_owned();
        Some(LabelSelector {
            match_labels: Some([("app".to_owned(), app)].into()),
            match_expressions: None,
        })
    }

    fn term(&self) -> PodAffinityTerm {
        let teams = LabelSelector {
            match_labels: Some([("team".to_owned(), "one".to_owned())].into()),
            match_expressions: None,
        };
        PodAffinityTerm {
            label_selector: self.selector(),
            topology_key: (*self.one(&KEYS)).to_owned(),
            namespace_selector: self.chance(40).then_some(teams),
            ..Default::default()
        }
    }

    fn affinity(&self) -> Affinity {
        let weighted = || WeightedPodAffinityTerm {
            pod_affinity_term: self.term(),
            weight: self.below(10) as i32 + 1,
        };
        Affinity {
            node_affinity: None,
            pod_affinity: self.chance(50).then(|| PodAffinity {
                required_during_scheduling_ignored_during_execution: self
                    .chance(30)
                    .then(|| vec![self.term()]),
                preferred_during_scheduling_ignored_during_execution: Some(vec![weighted()]),
            }),
            pod_anti_affinity: self.chance(50).then(|| PodAntiAffinity {
                required_during_scheduling_ignored_during_execution: self
                    .chance(50)
                    .then(|| vec![self.term()]),
                preferred_during_scheduling_ignored_during_execution: Some(vec![weighted()]),
            }),
        }
    }

    fn constraint(&self) -> TopologySpreadConstraint {
        let policy = |percent| self.chance(percent).then(|| "Honor".to_owned());
        TopologySpreadConstraint {
            label_selector: self.selector(),
            max_skew: self.below(3) as i32 + 1,
            topology_key: (*self.one(&KEYS)).to_owned(),
            when_unsatisfiable: (*self.one(&["DoNotSchedule", "ScheduleAnyway"])).to_owned(),
            node_taints_policy: policy(30),
            ..Default::default()
        }
    }

    fn pod(&self, number: u64) -> Pod {
        let requests = |cpu: u64, memory: u64| ResourceRequirements {
            requests: Some(
                [
                    ("cpu".to_owned(), Quantity(format!("{cpu}m"))),
                    ("memory".to_owned(), Quantity(format!("{memory}Mi"))),
                ]
                .into(),
            ),
            ..Default::default()
        };
        let container = Container {
            name: "c".into(),
            image: Some(format!("image-{}", self.below(3))),
            resources: self
                .chance(70)
                .then(|| requests(self.below(800), self.below(500))),
            ports: self.chance(10).then(|| {
                vec![ContainerPort {
                    container_port: 80,
                    host_port: Some(80),
                    ..Default::default()
                }]
            }),
            ..Default::default()
        };
        let constraints = (0..self.below(3)).map(|_| self.constraint());
        Pod {
            metadata: ObjectMeta {
                name: Some(format!("p{number}")),
                namespace: Some((*self.one(&NAMESPACES)).to_owned()),
                uid: Some(format!("uid-{number}")),
                labels: Some([("app".to_owned(), (*self.one(&APPS)).to_owned())].into()),
                ..Default::default()
            },
            spec: Some(PodSpec {
                containers: vec![container],
                affinity: self.chance(60).then(|| self.affinity()),
                topology_spread_constraints: self.chance(50).then(|| constraints.collect()),
                node_selector: self
                    .chance(10)
                    .then(|| [("rack".to_owned(), "r1".to_owned())].into()),
                priority: Some(self.below(3) as i32),
                ..Default::default()
            }),
            status: None,
        }
    }

    fn node(&self, name: &str) -> Node {
        let mut labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.to_owned())]);
        if self.chance(80) {
            labels.insert("zone".into(), format!("z{}", self.below(3)));
        }
        if self.chance(80) {
            labels.insert("rack".into(), format!("r{}", self.below(2)));
        }
        let effect = *self.one(&["NoSchedule", "PreferNoSchedule"]);
        let taint = Taint {
            key: "t".into(),
            effect: effect.into(),
            ..Default::default()
        };
        let image = |number: u64| ContainerImage {
            names: Some(vec![format!("image-{number}:latest")]),
            size_bytes: Some(500 << 20),
        };
        Node {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels),
                ..Default::default()
            },
            spec: Some(NodeSpec {
                unschedulable: Some(self.chance(5)),
                taints: self.chance(15).then(|| vec![taint]),
                ..Default::default()
            }),
            status: Some(NodeStatus {
                allocatable: Some(
                    [
                        ("cpu".to_owned(), Quantity(format!("{}", self.below(6) + 1))),
                        ("memory".to_owned(), Quantity("4Gi".into())),
                        ("pods".to_owned(), Quantity("12".into())),
                    ]
                    .into(),
                ),
                images: Some((0..self.below(3)).map(image).collect()),
                ..Default::default()
            }),
        }
    }
}

impl World {
    /// One random event, told to the scheduler.
    fn step(&mut self, random: &Random, scheduler: &mut Scheduler, number: u64) {
        match random.below(10) {
            0 | 1 => {
                let name = format!("n{}", random.below(8));
                let node = random.node(&name);
                scheduler.node_updated(&node).unwrap();
                self.nodes.insert(name, node);
            }
            2 if random.chance(30) => {
                let name = format!("n{}", random.below(8));
                scheduler.node_deleted(&name);
                self.nodes.remove(&name);
            }
            3..=6 => self.place(random, scheduler, self.pod(random, number)),
            7 => self.change_pod(random, scheduler),
            8 => self.remove_pod(random, scheduler),
            _ => self.change_namespace(random, scheduler),
        }
    }

    /// A new pod, as often as not of a template that others came from: what was
    /// found out about those is used for it.
    fn pod(&self, random: &Random, number: u64) -> Pod {
        let mut pod = random.pod(number);
        let others: Vec<&Pod> = self.pods.values().collect();
        if !others.is_empty() && random.chance(50) {
            let other = *random.one(&others);
            pod.metadata.namespace = other.metadata.namespace.clone();
            pod.metadata.labels = other.metadata.labels.clone();
            pod.spec = other.spec.clone();
            pod.spec.as_mut().unwrap().node_name = None;
        }
        pod
    }

    /// A pod comes, and the decision about it is carried out.
    fn place(&mut self, random: &Random, scheduler: &mut Scheduler, mut pod: Pod) {
        if random.chance(20) {
            // Somebody else bound it, perhaps to a node that is not there.
            let name = format!("n{}", random.below(8));
            pod.spec.as_mut().unwrap().node_name = Some(name);
            scheduler.pod_updated(&pod).unwrap();
            self.pods.insert(pod.metadata.uid.clone().unwrap(), pod);
            return;
        }
        let best = best_nodes(scheduler.explain(&pod).unwrap());
        scheduler.pod_added(&pod).unwrap();
        let mut is_first = true;
        loop {
            let decision = scheduler.next_decision();
            if let Decision::Bind { pod: info, node } = &decision
                && std::mem::take(&mut is_first)
                && Some(info.uid()) == pod.metadata.uid.as_deref()
            {
                assert!(best.contains(&**node), "{node} is none of {best:?}");
            }
            match decision {
                Decision::Bind { pod: info, node } if random.chance(10) => {
                    let _ = node;
                    scheduler.bind_failed(info.uid());
                }
                Decision::Bind { pod: info, node } => {
                    // Pods that waited come out too; those were forgotten here.
                    if info.uid() != pod.metadata.uid.as_deref().unwrap() {
                        scheduler.pod_gone(info.uid());
                        continue;
                    }
                    pod.spec.as_mut().unwrap().node_name = Some(node.to_string());
                    scheduler.bind_confirmed(info.uid());
                    scheduler.pod_updated(&pod).unwrap();
                    self.pods.insert(info.uid().to_owned(), pod.clone());
                }
                Decision::Unschedulable { .. } | Decision::Gated { .. } => {}
                Decision::Idle { .. } => return,
            }
        }
    }

    fn change_pod(&mut self, random: &Random, scheduler: &mut Scheduler) {
        let uids: Vec<String> = self.pods.keys().cloned().collect();
        if uids.is_empty() {
            return;
        }
        let pod = self.pods.get_mut(random.one(&uids)).unwrap();
        if random.chance(30) {
            pod.metadata.deletion_timestamp = Some(Time(stdx::Timestamp::UNIX_EPOCH));
        } else {
            let app = (*random.one(&APPS)).to_owned();
            pod.metadata.labels = Some([("app".to_owned(), app)].into());
        }
        scheduler.pod_updated(pod).unwrap();
    }

    fn remove_pod(&mut self, random: &Random, scheduler: &mut Scheduler) {
        let uids: Vec<String> = self.pods.keys().cloned().collect();
        if uids.is_empty() {
            return;
        }
        let pod = self.pods.remove(random.one(&uids)).unwrap();
        scheduler.pod_deleted(&pod);
    }

    fn change_namespace(&mut self, random: &Random, scheduler: &mut Scheduler) {
        let name = (*random.one(&NAMESPACES)).to_owned();
        if random.chance(50) {
            let team = (*random.one(&["one", "two"])).to_owned();
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.clone());
            namespace.metadata.labels = Some([("team".to_owned(), team)].into());
            scheduler.namespace_updated(&namespace);
            self.namespaces.insert(name, namespace);
            return;
        }
        let app = (*random.one(&APPS)).to_owned();
        let mut service = Service::default();
        service.metadata.name = Some(app.clone());
        service.metadata.namespace = Some(name.clone());
        service.spec = Some(ServiceSpec {
            selector: Some([("app".to_owned(), app.clone())].into()),
            ..Default::default()
        });
        if random.chance(50) {
            scheduler.service_updated(&service);
            self.services.insert(format!("{name}/{app}"), service);
        } else {
            scheduler.service_deleted(&name, &app);
            self.services.remove(&format!("{name}/{app}"));
        }
    }

    /// A scheduler that is told of everything at once.
    fn fresh(&self) -> Scheduler {
        let mut scheduler = new_scheduler();
        for namespace in self.namespaces.values() {
            scheduler.namespace_updated(namespace);
        }
        for service in self.services.values() {
            scheduler.service_updated(service);
        }
        for pod in self.pods.values() {
            scheduler.pod_added(pod).unwrap();
        }
        for node in self.nodes.values() {
            scheduler.node_added(node).unwrap();
        }
        scheduler
    }
}

/// The nodes that a pod may go to: those that fit and have the best score.
fn best_nodes(explanation: Explanation) -> BTreeSet<String> {
    let fitting = explanation.nodes.into_iter();
    let fitting: Vec<_> = fitting.filter(|node| node.rejected.is_none()).collect();
    let best = fitting.iter().map(NodeVerdict::total).max();
    let best = fitting
        .into_iter()
        .filter(|node| Some(node.total()) == best);
    best.map(|node| node.node).collect()
}

fn new_scheduler() -> Scheduler {
    Scheduler::new(&Config::default(), Clock::system(), Rng::seeded(1)).unwrap()
}

#[test]
fn events_and_their_outcome_agree() {
    for seed in 0..12 {
        let random = Random(Rng::seeded(seed));
        let mut world = World::default();
        let mut scheduler = new_scheduler();
        for number in 0..400 {
            world.step(&random, &mut scheduler, number);
            assert_eq!(
                scheduler.placed_count(),
                world.pods.len(),
                "seed {seed} step {number}"
            );
            if number % 4 != 0 {
                continue;
            }
            let probe = random.pod(1_000_000);
            let lived = scheduler.explain(&probe).unwrap();
            let told = world.fresh().explain(&probe).unwrap();
            assert_eq!(lived, told, "seed {seed} step {number}");
        }
        assert!(world.pods.len() > 10, "seed {seed} placed hardly anything");
    }
}
