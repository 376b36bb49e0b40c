//! A reflector against the API server's double.

use super::*;
use client::{Body, Client, Request, Response, Transport, TransportError};
use serde_json::json;
use testkit::FakeApi;
use testkit::fake::Refusal;
use tokio::sync::Notify;
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
        Self::start_over(FakeApi::client)
    }

    /// With another way to the server.
    fn start_over(way: impl Fn(&FakeApi) -> Client) -> Self {
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
        let resource = way(&api).api::<ConfigMap>().raw().clone();
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

/// A way to the server on which watches break off when told to.
struct Line {
    api: FakeApi,
    broken: Arc<Notify>,
}

#[async_trait::async_trait]
impl Transport for Line {
    async fn call(&self, request: Request) -> Result<Response, TransportError> {
        let mut response = self.api.call(request).await?;
        if let Body::Events(events) = response.body {
            let broken = Arc::clone(&self.broken).notified_owned();
            response.body = Body::Events(events.take_until(broken).boxed());
        }
        Ok(response)
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_lost_history_is_made_up_for_at_once() {
    let broken = Arc::new(Notify::new());
    let cluster = Cluster::start_over(|api| {
        let (api, broken) = (api.clone(), broken.clone());
        Client::new(Arc::new(Line { api, broken }))
    });
    cluster.create("one");
    cluster.settle().await;
    cluster
        .api
        .react(|_, _| Some(Refusal::new(503, "ServiceUnavailable", "not now")));
    broken.notify_waiters();
    cluster.settle().await;
    cluster.create("two");
    cluster.api.compact();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    cluster.api.react(move |_, path| {
        let anew = path.contains("sendInitialEvents");
        let now = tokio::time::Instant::now();
        log.lock().unwrap().push((anew, now));
        None
    });
    assert_eq!(cluster.settle().await, ["+two"]);
    let asked = asked.lock().unwrap();
    let [(false, resumed), (true, anew), ..] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(resumed, anew);
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
