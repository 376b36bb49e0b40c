//! A cluster for controllers' tests: the API server's double, the controllers that a test names,
//! and simulated time, which goes on only when everybody waits.

use crate::{Manager, Options};
use client::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng, Supervisor, Timestamp};
use testkit::FakeApi;
use testkit::faulty::{Faults, Faulty, Odds};

pub(crate) struct Cluster {
    pub(crate) api: FakeApi,
    pub(crate) clock: Clock,
    _supervisor: Supervisor,
}

impl Cluster {
    pub(crate) fn start(controllers: &'static [&'static str]) -> Self {
        Self::start_with(controllers, Options::default())
    }

    pub(crate) fn start_with(controllers: &'static [&'static str], options: Options) -> Self {
        Self::start_over(controllers, options, |_, api| api.client())
    }

    /// A cluster whose controllers lose requests, answers and watches, as the seed has it.
    pub(crate) fn start_faulty(
        controllers: &'static [&'static str],
        seed: u64,
        odds: Odds,
        faults: &Faults,
    ) -> Self {
        let (rng, faults) = (Rng::seeded(seed), faults.clone());
        Self::start_over(controllers, Options::default(), move |clock, api| {
            let inner = Arc::new(api.clone());
            let faulty = Faulty::new(inner, odds, faults.clone(), clock.clone(), rng.fork());
            Client::new(Arc::new(faulty))
        })
    }

    fn start_over(
        controllers: &'static [&'static str],
        options: Options,
        client: impl Fn(&Clock, &FakeApi) -> Client + Send + Sync + 'static,
    ) -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::simulated(epoch);
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let supervisor = Supervisor::new("test");
        let (of_clock, of_api) = (clock.clone(), api.clone());
        let manager = Manager {
            clients: Box::new(move |_| client(&of_clock, &of_api)),
            clock: clock.clone(),
            rng: Rng::seeded(2),
            supervisor: supervisor.clone(),
            metrics: Default::default(),
            options,
        };
        manager.start(|name| controllers.contains(&name));
        Self {
            api,
            clock,
            _supervisor: supervisor,
        }
    }

    pub(crate) async fn settle(&self) {
        self.pass(10).await;
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// The events so far, as `reason: message xN`, by time of their names.
    pub(crate) fn events(&self) -> Vec<String> {
        let mut events = self.api.list("events");
        events.sort_by_key(|event| {
            event["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|text| text.parse::<u64>().ok())
        });
        let text = |event: &Value| {
            let count = event["count"].as_i64().unwrap_or(1);
            let times = if count > 1 {
                format!(" x{count}")
            } else {
                String::new()
            };
            format!(
                "{}: {}{times}",
                event["reason"].as_str().unwrap(),
                event["message"].as_str().unwrap()
            )
        };
        events.iter().map(text).collect()
    }

    /// Does what scheduler and kubelet would: pods get a node, run and are ready, unless the
    /// filter refuses them; pods that shall end do.
    pub(crate) fn run_pods(&self, may_be_ready: impl Fn(&Value) -> bool) {
        let now = stdx::format_seconds(self.clock.wall());
        for pod in self.api.list("pods") {
            let text = |field: &str| {
                pod["metadata"][field]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let (namespace, name) = (text("namespace"), text("name"));
            if pod["metadata"].get("deletionTimestamp").is_some() {
                self.api.remove("pods", &namespace, &name);
            } else if pod["status"]["phase"] != "Running" && may_be_ready(&pod) {
                self.api.edit("pods", &namespace, &name, |pod| {
                    pod["spec"]["nodeName"] = json!("node");
                    pod["status"]["phase"] = json!("Running");
                    pod["status"]["conditions"] = json!([
                        {"type": "Ready", "status": "True", "lastTransitionTime": now},
                    ]);
                });
            }
        }
    }

    /// Lets pods run for as long as something changes, but not for ever.
    pub(crate) async fn run_pods_until_quiet(&self) {
        for _ in 0..50 {
            self.settle().await;
            let before = self.api.list("pods");
            self.run_pods(|_| true);
            self.settle().await;
            if self.api.list("pods") == before {
                return;
            }
        }
        panic!("pods do not come to rest");
    }
}
