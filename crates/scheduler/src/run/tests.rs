//! The scheduler against the API server's double, in simulated time.

use super::*;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::FakeApi;
use testkit::fake::Refusal;

struct Fixture {
    api: FakeApi,
    clock: Clock,
    handle: Handle,
    _supervisor: Supervisor,
}

impl Fixture {
    fn start() -> Self {
        let epoch = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::simulated(epoch);
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let supervisor = Supervisor::new("test");
        let rng = Rng::seeded(2);
        let runner = Runner {
            client: api.client(),
            factory: Factory::new(api.client(), clock.clone(), rng.fork(), supervisor.clone()),
            clock: clock.clone(),
            rng,
            supervisor: supervisor.clone(),
            config: Config::default(),
        };
        Self {
            api,
            clock,
            handle: runner.start().unwrap(),
            _supervisor: supervisor,
        }
    }

    fn node(&self, name: &str, cpu: &str) {
        self.api.create(
            "nodes",
            json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name},
                "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "110"}},
            }),
        );
    }

    fn pod(&self, name: &str, cpu: &str) {
        self.api.create(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"containers": [
                    {"name": "c", "resources": {"requests": {"cpu": cpu}}},
                ]},
            }),
        );
    }

    async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    fn node_of(&self, name: &str) -> Option<String> {
        let pod = self.api.get("pods", "default", name).unwrap();
        pod["spec"]["nodeName"].as_str().map(str::to_owned)
    }

    fn condition(&self, name: &str) -> Value {
        let pod = self.api.get("pods", "default", name).unwrap();
        pod["status"]["conditions"][0].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn pods_are_bound() {
    let fixture = Fixture::start();
    fixture.node("a", "2");
    fixture.pod("p", "1");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
    fixture.pod("q", "1");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("q").as_deref(), Some("a"));
    assert_eq!(fixture.handle.pending(), Pending::default());
    let metrics = fixture.handle.metrics();
    let scheduled = "{profile=\"default-scheduler\",result=\"scheduled\"} 2\n";
    assert!(metrics.contains(scheduled), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_nowhere_says_so_and_is_bound_when_there_is_room() {
    let fixture = Fixture::start();
    fixture.node("a", "1");
    fixture.pod("p", "2");
    fixture.pass(1).await;
    let condition = fixture.condition("p");
    assert_eq!(condition["type"], "PodScheduled");
    assert_eq!(condition["status"], "False");
    assert_eq!(condition["reason"], "Unschedulable");
    assert_eq!(
        condition["message"],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
         1 Preemption is not helpful for scheduling."
    );
    fixture.api.take_writes();
    fixture.pass(60).await;
    assert_eq!(fixture.api.take_writes(), [""; 0], "nothing is polled");
    fixture.node("b", "4");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("p").as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_binding_is_reported_and_tried_again() {
    let fixture = Fixture::start();
    fixture.node("a", "1");
    fixture.api.react(|_, path| {
        path.contains("/binding")
            .then(|| Refusal::new(500, "InternalError", "the disk is full"))
    });
    fixture.pod("p", "1");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("p"), None);
    let condition = fixture.condition("p");
    assert_eq!(condition["reason"], "SchedulerError");
    let message = condition["message"].as_str().unwrap();
    assert!(message.ends_with("the disk is full"), "{message}");
    fixture.api.relent();
    fixture.pass(30).await;
    assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn gates_are_reported_once() {
    let fixture = Fixture::start();
    fixture.node("a", "1");
    fixture.pod("p", "100m");
    fixture.pass(1).await;
    let gated = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "g", "namespace": "default"},
        "spec": {"containers": [{"name": "c"}], "schedulingGates": [{"name": "quota"}]},
    });
    fixture.api.create("pods", gated);
    fixture.pass(1).await;
    let condition = fixture.condition("g");
    assert_eq!(condition["reason"], "SchedulingGated");
    assert_eq!(condition["message"], GATED_MESSAGE);
    assert_eq!(fixture.handle.pending().gated, 1);
    fixture.api.edit("pods", "default", "g", |pod| {
        pod["spec"]["schedulingGates"] = json!([]);
    });
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("g").as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn events_are_written() {
    let fixture = Fixture::start();
    let posts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&posts);
    fixture.api.react(move |method, path| {
        if method == "POST" && path.contains("events") {
            seen.lock().unwrap().push(path.to_owned());
        }
        None
    });
    fixture.node("a", "1");
    fixture.pod("p", "1");
    fixture.pod("q", "1");
    fixture.pass(1).await;
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let posts = posts.lock().unwrap();
    assert_eq!(posts.len(), 2, "Scheduled and FailedScheduling");
    assert!(posts.iter().all(|post| post.starts_with(path)), "{posts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_given_anew_is_another_pod() {
    let fixture = Fixture::start();
    fixture.node("a", "1");
    fixture.pod("p", "1");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
    fixture.api.remove("pods", "default", "p");
    fixture.pod("p", "1");
    fixture.pass(1).await;
    assert_eq!(fixture.node_of("p").as_deref(), Some("a"));
}

/// Bindings are refused at random, watches are cut off, pods leave and come:
/// in the end every pod has a node, no node has too much, and nobody was bound
/// twice.
#[tokio::test(start_paused = true)]
async fn trouble_delays_but_breaks_nothing() {
    for seed in 0..8 {
        let fixture = Fixture::start();
        let random = Rng::seeded(seed);
        let accepted = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
        let (seen, dice) = (Arc::clone(&accepted), random.fork());
        fixture.api.react(move |method, path| {
            if method != "POST" || !path.contains("/binding") {
                return None;
            }
            if dice.chance(0.3) {
                return Some(Refusal::new(500, "InternalError", "no luck"));
            }
            *seen.lock().unwrap().entry(path.to_owned()).or_insert(0) += 1;
            None
        });
        (0..4).for_each(|at| fixture.node(&format!("n{at}"), "4"));
        for at in 0..40 {
            fixture.pod(&format!("p{at}"), "500m");
            if random.chance(0.2) {
                fixture.pass(1).await;
            }
            if random.chance(0.1) {
                fixture.api.compact();
            }
            if at > 5 && random.chance(0.2) {
                let gone = format!("p{}", random.below(at));
                if fixture.api.get("pods", "default", &gone).is_some() {
                    fixture.api.remove("pods", "default", &gone);
                }
            }
        }
        fixture.node("late", "8");
        fixture.pass(300).await;
        let mut taken = std::collections::BTreeMap::new();
        for pod in fixture.api.list("pods") {
            let node = pod["spec"]["nodeName"].as_str();
            let node = node.unwrap_or_else(|| panic!("seed {seed}: {pod} has no node"));
            *taken.entry(node.to_owned()).or_insert(0) += 500;
        }
        for (node, milli_cpu) in taken {
            let room = if node == "late" { 8000 } else { 4000 };
            assert!(
                milli_cpu <= room,
                "seed {seed}: {node} has {milli_cpu}m of {room}m"
            );
        }
        let twice: Vec<_> = accepted.lock().unwrap().clone().into_iter().collect();
        assert!(
            twice.iter().all(|(_, times)| *times == 1),
            "seed {seed}: {twice:?}"
        );
        assert_eq!(fixture.handle.pending(), Pending::default(), "seed {seed}");
    }
}
