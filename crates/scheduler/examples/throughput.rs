//! How many pods the scheduler's core places in a second, without a server:
//! every pod is read, placed, and confirmed as the watch would.
//!
//! `cargo run --release -p scheduler --example throughput`

use scheduler::{Config, Decision, Scheduler};
use stdx::{Clock, Rng};
use typed::Quantity;
use typed::api::core::v1::{
    Affinity, Container, Node, NodeStatus, Pod, PodAffinityTerm, PodAntiAffinity, PodSpec,
    ResourceRequirements, Service, ServiceSpec, Toleration, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use typed::meta::{LabelSelector, ObjectMeta};

/// How a pod's spec differs from a plain one.
type Shape = fn(&mut PodSpec);

/// What the pods ask for besides CPU and memory.
const KINDS: [(&str, Shape); 6] = [
    ("plain", |_| {}),
    ("spread by service", |_| {}),
    ("spread over zones", |spec| {
        spec.topology_spread_constraints = Some(vec![spread("topology.kubernetes.io/zone")]);
    }),
    ("spread over hosts", |spec| {
        spec.topology_spread_constraints = Some(vec![spread("kubernetes.io/hostname")]);
    }),
    ("preferring other hosts", |spec| {
        let term = WeightedPodAffinityTerm {
            pod_affinity_term: term("kubernetes.io/hostname"),
            weight: 10,
        };
        let anti = anti_affinity(spec);
        anti.preferred_during_scheduling_ignored_during_execution = Some(vec![term]);
    }),
    ("requiring other hosts", |spec| {
        let term = term("kubernetes.io/hostname");
        let anti = anti_affinity(spec);
        anti.required_during_scheduling_ignored_during_execution = Some(vec![term]);
    }),
];

fn main() {
    println!(
        "{:>6} {:>6}  {:24} {:>9} {:>9}",
        "nodes", "pods", "kind", "pods/s", "us/pod"
    );
    for (nodes, pods) in [(100, 2000), (1000, 5000), (5000, 5000)] {
        for (number, (kind, shape)) in KINDS.iter().enumerate() {
            // Pods that exclude each other need a node each.
            let pods = if number == 5 { pods.min(nodes) } else { pods };
            let seconds = run(nodes, pods, number == 1, *shape);
            let rate = pods as f64 / seconds;
            let each = 1e6 * seconds / pods as f64;
            println!("{nodes:>6} {pods:>6}  {kind:24} {rate:>9.0} {each:>9.1}");
        }
    }
}

/// Places pods on nodes; returns the seconds that this took.
fn run(nodes: usize, pods: usize, service: bool, shape: Shape) -> f64 {
    let clock = Clock::system();
    let scheduler = Scheduler::new(&Config::default(), clock.clone(), Rng::seeded(1));
    let mut scheduler = scheduler.unwrap_or_else(|error| panic!("{error}"));
    for at in 0..nodes {
        check(scheduler.node_added(&node(at)));
    }
    if service {
        scheduler.service_updated(&web_service());
    }
    let pods: Vec<Pod> = (0..pods).map(|at| pod(at, shape)).collect();
    let begin = clock.now();
    let mut bound = 0;
    for batch in pods.chunks(100) {
        for pod in batch {
            check(scheduler.pod_added(pod));
        }
        let mut decided = Vec::new();
        while let Decision::Bind { node, .. } = scheduler.next_decision() {
            decided.push(node);
        }
        bound += decided.len();
        for (pod, node) in batch.iter().zip(decided) {
            let mut pod = pod.clone();
            if let Some(spec) = &mut pod.spec {
                spec.node_name = Some(node.to_string());
            }
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            scheduler.bind_confirmed(&uid);
            check(scheduler.pod_updated(&pod));
        }
    }
    assert_eq!(bound, pods.len(), "every pod has its node");
    clock.since(begin).as_secs_f64()
}

fn check<E: std::fmt::Display>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn node(at: usize) -> Node {
    let name = format!("node-{at}");
    let amounts = [("cpu", "32"), ("memory", "256Gi"), ("pods", "110")];
    let labels = [
        ("kubernetes.io/hostname", name.clone()),
        ("topology.kubernetes.io/zone", format!("zone-{}", at % 3)),
        ("kubernetes.io/os", "linux".to_owned()),
    ];
    Node {
        metadata: ObjectMeta {
            name: Some(name),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            ..Default::default()
        },
        spec: None,
        status: Some(NodeStatus {
            allocatable: Some(amounts.map(quantity).into()),
            ..Default::default()
        }),
    }
}

fn pod(at: usize, shape: Shape) -> Pod {
    let toleration = |key: &str| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        toleration_seconds: Some(300),
        value: None,
    };
    let amounts = [("cpu", "100m"), ("memory", "500Mi")];
    let mut spec = PodSpec {
        containers: vec![Container {
            name: "web".into(),
            image: Some("nginx:1".into()),
            resources: Some(ResourceRequirements {
                requests: Some(amounts.map(quantity).into()),
                ..Default::default()
            }),
            ..Default::default()
        }],
        tolerations: Some(vec![
            toleration("node.kubernetes.io/not-ready"),
            toleration("node.kubernetes.io/unreachable"),
        ]),
        ..Default::default()
    };
    shape(&mut spec);
    Pod {
        metadata: ObjectMeta {
            name: Some(format!("web-{at}")),
            namespace: Some("default".into()),
            uid: Some(format!("9a2f6c1e-0000-4000-8000-{at:012}")),
            labels: Some([("app".to_owned(), "web".to_owned())].into()),
            ..Default::default()
        },
        spec: Some(spec),
        status: None,
    }
}

fn quantity((name, amount): (&str, &str)) -> (String, Quantity) {
    (name.to_owned(), Quantity(amount.to_owned()))
}

fn web_service() -> Service {
    Service {
        metadata: ObjectMeta {
            name: Some("web".into()),
            namespace: Some("default".into()),
            ..Default::default()
        },
        spec: Some(ServiceSpec {
            selector: Some([("app".to_owned(), "web".to_owned())].into()),
            ..Default::default()
        }),
        status: None,
    }
}

fn selector() -> Option<LabelSelector> {
    Some(LabelSelector {
        match_labels: Some([("app".to_owned(), "web".to_owned())].into()),
        match_expressions: None,
    })
}

fn spread(key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        label_selector: selector(),
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "DoNotSchedule".into(),
        ..Default::default()
    }
}

fn term(key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        label_selector: selector(),
        topology_key: key.to_owned(),
        ..Default::default()
    }
}

fn anti_affinity(spec: &mut PodSpec) -> &mut PodAntiAffinity {
    let affinity: &mut Affinity = spec.affinity.get_or_insert_default();
    affinity.pod_anti_affinity.get_or_insert_default()
}
