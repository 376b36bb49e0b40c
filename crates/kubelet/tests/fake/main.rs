//! A whole kubelet over doubles, under paused time.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod crashes;
mod ends;
mod lives;
mod node;
mod pressure;
mod probed;

use std::sync::Arc;
use std::time::Duration;

use container::fake::FakeRuntime;
use informer::Factory;
use kubelet::fakes::{FakeCgroups, FakeEvents, FakeImages, FakeMachine, FakeMounts, FakeNetwork};
use kubelet::probes::{Outcome, Prober, Target};
use kubelet::{Config, Doors, Handle};
use serde_json::{Value, json};
use stdx::{Clock, Rng, Supervisor};
use testkit::FakeApi;

/// A kubelet and everything around it.
struct Node {
    api: FakeApi,
    runtime: Arc<FakeRuntime>,
    images: Arc<FakeImages>,
    mounts: Arc<FakeMounts>,
    network: Arc<FakeNetwork>,
    events: Arc<FakeEvents>,
    prober: Arc<ScriptedProber>,
    machine: Arc<FakeMachine>,
    clock: Clock,
    supervisor: Supervisor,
    handle: Handle,
    temp: tempfile::TempDir,
}

/// Answers what the test says, by container name.
#[derive(Default)]
struct ScriptedProber {
    answers: std::sync::Mutex<std::collections::HashMap<String, Outcome>>,
}

impl ScriptedProber {
    fn answer(&self, container: &str, outcome: Outcome) {
        self.answers
            .lock()
            .unwrap()
            .insert(container.to_owned(), outcome);
    }
}

#[async_trait::async_trait]
impl Prober for ScriptedProber {
    async fn probe(&self, target: &Target) -> Outcome {
        let answers = self.answers.lock().unwrap();
        let answer = answers.get(&target.container.name).cloned();
        answer.unwrap_or(Outcome::Success)
    }
}

/// What outlives one kubelet of a node.
struct Below {
    api: FakeApi,
    runtime: Arc<FakeRuntime>,
    network: Arc<FakeNetwork>,
    clock: Clock,
    temp: tempfile::TempDir,
}

impl Below {
    fn new() -> Below {
        let clock = Clock::simulated("2026-11-20T17:30:00Z".parse().unwrap());
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let wall = clock.clone();
        let now = move || i64::try_from(wall.wall().as_nanosecond()).unwrap_or(0);
        Below {
            api,
            runtime: Arc::new(FakeRuntime::new(Arc::new(now))),
            network: Arc::default(),
            clock,
            temp: tempfile::tempdir().unwrap(),
        }
    }

    async fn start(self) -> Node {
        self.start_seeded(7).await
    }

    async fn start_seeded(self, seed: u64) -> Node {
        let Below {
            api,
            runtime,
            network,
            clock,
            temp,
        } = self;
        let mut config = Config::new("node1", temp.path());
        config.node_ips = vec!["192.0.2.1".into()];
        config.resolv_conf = temp.path().join("resolv.conf");
        let supervisor = Supervisor::new("kubelet");
        let rng = Rng::seeded(seed);
        let informers = Factory::new(
            api.client(),
            clock.clone(),
            rng.fork(),
            supervisor.child("informers"),
        );
        let images = Arc::new(FakeImages::default());
        let mounts = Arc::new(FakeMounts::default());
        let events = Arc::new(FakeEvents::default());
        let prober = Arc::new(ScriptedProber::default());
        let machine = Arc::new(FakeMachine::default());
        let doors = Doors {
            runtime: runtime.clone(),
            images: images.clone(),
            network: network.clone(),
            mounts: mounts.clone(),
            cgroups: Arc::new(FakeCgroups::default()),
            machine: machine.clone(),
            prober: Some(prober.clone()),
            events: Some(events.clone()),
        };
        let handle = kubelet::run(
            config,
            api.client(),
            doors,
            &informers,
            clock.clone(),
            rng,
            supervisor.clone(),
        )
        .await
        .unwrap();
        Node {
            api,
            runtime,
            images,
            mounts,
            network,
            events,
            prober,
            machine,
            clock,
            supervisor,
            handle,
            temp,
        }
    }
}

impl Node {
    async fn new() -> Node {
        Below::new().start().await
    }

    /// Ends the kubelet, wherever it stands, and leaves what is below.
    async fn stop(self) -> Below {
        self.supervisor.shutdown(Duration::ZERO).await;
        Below {
            api: self.api,
            runtime: self.runtime,
            network: self.network,
            clock: self.clock,
            temp: self.temp,
        }
    }

    /// Creates a pod that is bound to this node.
    fn pod(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = json!("node1");
        self.api.create(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "default", "generation": 1},
                "spec": spec, "status": {"phase": "Pending"},
            }),
        );
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.api.get("pods", "default", name)
    }

    fn uid(&self, name: &str) -> String {
        let pod = self.get(name).expect("the pod");
        pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits, in simulated time, until the pod is as the test wants it.
    async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..20_000 {
            if let Some(pod) = self.get(name)
                && is_so(&pod)
            {
                return pod;
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{name} never became {what}: {:#}\nevents: {:#?}\ncalls: {:#?}",
            self.get(name).unwrap_or_default()["status"],
            self.events.lines(),
            self.runtime.calls(),
        );
    }

    async fn until_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, phase, |pod| pod["status"]["phase"] == phase)
            .await
    }

    async fn until_ready(&self, name: &str) -> Value {
        self.until(name, "ready", is_ready).await
    }

    async fn until_gone(&self, name: &str) {
        for _ in 0..20_000 {
            if self.get(name).is_none() {
                return;
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{name} is still there: {:#}",
            self.get(name).unwrap_or_default()
        );
    }

    /// Waits until something holds.
    async fn until_true(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if is_so() {
                return;
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}; calls: {:#?}", self.runtime.calls());
    }

    /// The id of the newest container of this name.
    fn container(&self, pod: &str, name: &str) -> String {
        let found = self.runtime.find(&self.uid(pod), name);
        found.expect("the container").id
    }

    fn has_event(&self, text: &str) -> bool {
        self.events.lines().iter().any(|line| line.contains(text))
    }
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == Some("True".to_owned())
}

fn condition(pod: &Value, kind: &str) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|c| c["type"] == kind)?;
    found["status"].as_str().map(str::to_owned)
}

/// One container `a` with these fields.
fn one(fields: Value) -> Value {
    let mut container = json!({"name": "a", "image": "busybox"});
    if let (Some(to), Some(from)) = (container.as_object_mut(), fields.as_object()) {
        to.extend(from.clone());
    }
    json!({"containers": [container]})
}
