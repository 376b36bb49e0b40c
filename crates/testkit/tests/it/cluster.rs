//! An API server in memory, controllers that call it in process, and hands that do what scheduler
//! and kubelet would. Everybody may do everything: who may do what is tested elsewhere.

use ::controllers::{Manager, Options};
use admission::Chain;
use apiserver::Server;
use auth::User;
use client::{Client, Gvr, ListOptions, Patch};
use loopback::Loopback;
use meta::schema::Ref;
use registry::Registry;
use registry::hooks::Hooks;
use serde_json::{Value, json};
use sim::{Anybody, Lifecycle};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Importance, Rng, Supervisor};
use typed::Typed as _;
use typed::api::core::v1::{Pod, Service};

pub struct Cluster {
    pub client: Client,
    pub clock: Clock,
    supervisor: Supervisor,
}

/// An API server over a store in memory.
pub async fn server(clock: &Clock, supervisor: &Supervisor) -> Arc<Server> {
    let store = Arc::new(store::memory(clock.clone(), Rng::seeded(1)));
    let kinds = api::kinds().map(Ref::Static);
    let chain = Chain::new(vec![Box::new(Lifecycle)]);
    let registry = Registry::new(
        store,
        clock.clone(),
        Rng::seeded(2),
        chain,
        Hooks::default(),
        kinds,
    );
    let registry = Arc::new(registry);
    let feed = registry.start().await.expect("the caches fill");
    supervisor.spawn("feed", Importance::Essential, feed);
    let anybody = Arc::new(Anybody);
    Arc::new(Server::new(
        registry,
        anybody.clone(),
        anybody.clone(),
        anybody.clone(),
        anybody.clone(),
    ))
}

impl Cluster {
    /// A cluster with all controllers but those that the test does without.
    pub async fn start(without: &'static [&'static str]) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().expect("a time"));
        let supervisor = Supervisor::new("test");
        let server = server(&clock, &supervisor).await;
        let clients = move |name: &str| {
            let user = User::new(name, &["system:masters", "system:authenticated"]);
            Client::new(Arc::new(Loopback::new(Arc::clone(&server), user)))
        };
        let client = clients("tester");
        let manager = Manager {
            clients: Box::new(clients),
            clock: clock.clone(),
            rng: Rng::seeded(3),
            supervisor: supervisor.clone(),
            metrics: Default::default(),
            options: Options {
                root_ca: "PEM".into(),
                cluster_cidrs: vec!["10.42.0.0/16".into()],
                ..Options::default()
            },
        };
        manager.start(|name| !without.contains(&name));
        let cluster = Self {
            client,
            clock,
            supervisor,
        };
        cluster
            .create("v1", "namespaces", json!({"metadata": {"name": "a"}}))
            .await;
        cluster
    }

    pub async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
        assert_eq!(self.failure(), None);
    }

    fn failure(&self) -> Option<String> {
        futures::FutureExt::now_or_never(self.supervisor.failed())
            .map(|failure| failure.to_string())
    }

    fn resource(&self, api_version: &str, plural: &str, namespace: &str) -> client::Resource {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvr = Gvr::new(group.to_owned(), version.to_owned(), plural.to_owned());
        self.client
            .resource(gvr, !namespace.is_empty())
            .namespace(namespace)
    }

    pub async fn create(&self, api_version: &str, plural: &str, object: Value) -> Value {
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let resource = self.resource(api_version, plural, &namespace);
        let created = resource
            .create(object.to_string().into(), &Default::default())
            .await;
        let created =
            created.unwrap_or_else(|error| panic!("create {plural}: {}", error.message()));
        serde_json::from_slice(&created).expect("JSON")
    }

    pub async fn get(
        &self,
        api_version: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        match self
            .resource(api_version, plural, namespace)
            .get(name, "")
            .await
        {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("JSON")),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("get {plural} {name}: {}", error.message()),
        }
    }

    pub async fn merge(
        &self,
        api_version: &str,
        plural: &str,
        namespace: &str,
        name: &str,
        change: Value,
    ) {
        let resource = self.resource(api_version, plural, namespace);
        let changed = resource
            .patch(name, "", &Patch::Merge(change), &Default::default())
            .await;
        changed.unwrap_or_else(|error| panic!("change {plural} {name}: {}", error.message()));
    }

    pub async fn list(&self, api_version: &str, plural: &str) -> Vec<Value> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvr = Gvr::new(group.to_owned(), version.to_owned(), plural.to_owned());
        let list = self
            .client
            .resource(gvr, true)
            .list(&ListOptions::default())
            .await
            .expect("a list");
        list.items
            .iter()
            .map(|item| serde_json::from_slice(item).expect("JSON"))
            .collect()
    }

    /// The store's revision: it rises with every write.
    pub async fn revision(&self) -> u64 {
        let list = self
            .client
            .api::<Service>()
            .list(&ListOptions::default())
            .await
            .expect("a list");
        list.resource_version.parse().expect("a number")
    }

    /// Does what scheduler and kubelet would, for as long as there is something to do.
    pub async fn run_pods(&self, may_run: impl Fn(&Pod) -> bool) {
        for _ in 0..60 {
            self.pass(5).await;
            if !self.run_pods_once(&may_run).await {
                return;
            }
        }
        panic!("pods do not come to rest");
    }

    async fn run_pods_once(&self, may_run: &impl Fn(&Pod) -> bool) -> bool {
        let mut acted = false;
        for pod in self
            .client
            .api::<Pod>()
            .list(&ListOptions::default())
            .await
            .expect("pods")
            .items
        {
            let api = self.client.api::<Pod>().namespace(pod.namespace());
            let running = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some("Running");
            if pod.is_deleting() {
                let now = client::DeleteOptions {
                    grace_period_seconds: Some(0),
                    ..Default::default()
                };
                api.delete(pod.name(), &now).await.expect("the pod ends");
            } else if !running && may_run(&pod) {
                api.bind(pod.name(), pod.uid(), "node")
                    .await
                    .expect("the pod is bound");
                let number = pod.uid().bytes().map(u32::from).sum::<u32>() % 250;
                let now = stdx::format_seconds(self.clock.wall());
                let status = json!({"status": {"phase": "Running", "podIP": format!("10.42.0.{number}"),
                    "podIPs": [{"ip": format!("10.42.0.{number}")}],
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]}});
                api.patch_status(pod.name(), &Patch::Strategic(status))
                    .await
                    .expect("the pod runs");
            } else {
                continue;
            }
            acted = true;
        }
        acted
    }
}
