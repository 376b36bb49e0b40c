//! A reflector against the API server's double.

use super::*;
use serde_json::json;
use testkit::FakeApi;
use testkit::fake::Refusal;
use typed::api::core::v1::ConfigMap;
use typed::{Typed, Wire};

struct Cluster {
    api: FakeApi,
    informer: Informer<ConfigMap>,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
    supervisor: stdx::Supervisor,
}

impl Cluster {
    fn start() -> Self {
        let clock = Clock::simulated(stdx::Timestamp::UNIX_EPOCH);
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let informer = Informer::new(ConfigMap::decode);
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        informer.on_change(move |change: &crate::Change<ConfigMap>| {
            let what = match (&change.old, &change.new) {
                (None, _) => "+",
                (_, None) => "-",
                _ => "~",
            };
            log.lock()
                .unwrap()
                .push(format!("{what}{}", change.object().name()));
        });
        let resource = api.client().api::<ConfigMap>().raw().clone();
        let reflector = Reflector::new(
            resource,
            ListOptions::default(),
            &informer,
            clock,
            Rng::seeded(2),
        );
        let supervisor = stdx::Supervisor::new("test");
        supervisor.spawn("reflector", stdx::Importance::Essential, reflector.run());
        Self {
            api,
            informer,
            seen,
            supervisor,
        }
    }

    fn create(&self, name: &str) {
        self.api.create(
            "configmaps",
            json!({"metadata": {"name": name, "namespace": "a"}}),
        );
    }

    /// Time is simulated: it goes on only when everybody waits.
    async fn settle(&self) -> Vec<String> {
        tokio::time::sleep(Duration::from_secs(120)).await;
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn the_cache_follows_the_server() {
    let cluster = Cluster::start();
    cluster.create("one");
    cluster.informer.synced().await;
    cluster.create("two");
    cluster.api.edit("configmaps", "a", "one", |object| {
        object["data"] = json!({"k": "v"})
    });
    cluster.api.remove("configmaps", "a", "two");
    assert_eq!(cluster.settle().await, ["+one", "+two", "~one", "-two"]);
    cluster.supervisor.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_history_is_made_up_for() {
    let cluster = Cluster::start();
    cluster.create("one");
    cluster.create("two");
    cluster.settle().await;
    cluster
        .api
        .react(|_, _| Some(Refusal::new(503, "ServiceUnavailable", "not now")));
    cluster.api.compact();
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.api.remove("configmaps", "a", "one");
    cluster.create("three");
    cluster.api.compact();
    assert_eq!(cluster.settle().await, Vec::<String>::new());
    cluster.api.relent();
    assert_eq!(cluster.settle().await, ["-one", "+three"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_initial_events_is_listed() {
    let cluster = Cluster::start();
    cluster.api.react(|_, path| {
        path.contains("sendInitialEvents")
            .then(|| Refusal::new(422, "Invalid", "sendInitialEvents is forbidden"))
    });
    cluster.create("one");
    assert_eq!(cluster.settle().await, ["+one"]);
    cluster.create("two");
    assert_eq!(cluster.settle().await, ["+two"]);
}
