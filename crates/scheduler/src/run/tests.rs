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
