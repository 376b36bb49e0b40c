//! What users do: apply, scale, roll out and back, relabel, cordon and delete,
//! without looking at what comes of it.

mod manifests;

use crate::network::Network;
use crate::scenario::Scenario;
use crate::world::World;
use client::{Client, DeleteOptions, Error, Gvr, Patch, Propagation, Resource};
use manifests as manifest;
use serde_json::{Value, json};
use std::time::Duration;
use stdx::Rng;
use tokio::time::Instant;

/// The namespaces that users work in.
pub const NAMESPACES: [&str; 2] = ["a", "b"];
const APPS: [&str; 3] = ["x", "y", "z"];

/// The users.
pub struct Workload {
    world: World,
    client: Client,
    rng: Rng,
    nodes: usize,
}

type Outcome = Result<(), Error>;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Deploy,
    Scale,
    Roll,
    Strategy,
    Pause,
    DeleteDeployment,
    Serve,
    ChangeService,
    DeleteService,
    DeletePod,
    Relabel,
    Cordon,
    DeleteNode,
    Namespace,
    DeleteNamespace,
    Count,
}

const DEEDS: [(u64, Deed); 16] = [
    (8, Deed::Deploy),
    (8, Deed::Scale),
    (10, Deed::Roll),
    (3, Deed::Strategy),
    (2, Deed::Pause),
    (2, Deed::DeleteDeployment),
    (5, Deed::Serve),
    (4, Deed::ChangeService),
    (2, Deed::DeleteService),
    (6, Deed::DeletePod),
    (3, Deed::Relabel),
    (3, Deed::Cordon),
    (1, Deed::DeleteNode),
    (5, Deed::Namespace),
    (1, Deed::DeleteNamespace),
    (4, Deed::Count),
];

impl Workload {
    /// Users of the cluster.
    pub fn new(world: &World, network: &Network) -> Self {
        Self {
            world: world.clone(),
            client: network.client(world, "desk", "user"),
            rng: world.rng.fork(),
            nodes: world.scenario.nodes,
        }
    }

    /// Does one thing after the other until it is dropped.
    pub async fn run(self) {
        for namespace in NAMESPACES {
            let namespaces = self.resource("v1", "namespaces", "");
            // If it fails, it is made by and by.
            let _ = create(&namespaces, json!({"metadata": {"name": namespace}})).await;
        }
        loop {
            let pace = self.scenario().pace.mul_f64(2.0 * self.rng.unit());
            self.world.clock.sleep(pace).await;
            let Some(deed) = self.choose() else { continue };
            if let Err(error) = self.act(deed).await {
                let error = client::chain(&error);
                self.world
                    .trace
                    .note(format_args!("user {deed:?}: {error}"));
            }
        }
    }

    fn choose(&self) -> Option<Deed> {
        let mut left = self.rng.below(DEEDS.iter().map(|(weight, _)| weight).sum());
        DEEDS.iter().find_map(|(weight, deed)| {
            if left < *weight {
                return Some(*deed);
            }
            left -= weight;
            None
        })
    }

    async fn act(&self, deed: Deed) -> Outcome {
        let (namespace, app) = (self.one_of(&NAMESPACES), self.one_of(&APPS));
        let deployments = self.resource("apps/v1", "deployments", namespace);
        match deed {
            Deed::Deploy => create(&deployments, manifest::deployment(&self.rng, app)).await,
            Deed::Scale => {
                let replicas = self.rng.below(7);
                self.merge(&deployments, app, json!({"spec": {"replicas": replicas}}))
                    .await
            }
            Deed::Roll => {
                let template = manifest::template(&self.rng, app);
                self.merge(&deployments, app, json!({"spec": {"template": template}}))
                    .await
            }
            Deed::Strategy => {
                let strategy = manifest::strategy(&self.rng);
                self.merge(&deployments, app, json!({"spec": {"strategy": strategy}}))
                    .await
            }
            Deed::Pause => {
                let paused = self.rng.chance(0.5);
                self.merge(&deployments, app, json!({"spec": {"paused": paused}}))
                    .await
            }
            Deed::DeleteDeployment => self.delete(&deployments, app).await,
            Deed::Serve => {
                let services = self.resource("v1", "services", namespace);
                create(&services, manifest::service(&self.rng, app)).await
            }
            Deed::ChangeService => self.change_service(namespace, app).await,
            Deed::DeleteService => {
                let services = self.resource("v1", "services", namespace);
                self.delete(&services, app).await
            }
            Deed::DeletePod => self.delete_pod(namespace).await,
            Deed::Relabel => self.relabel(namespace).await,
            Deed::Cordon => self.cordon().await,
            Deed::DeleteNode => {
                let nodes = self.resource("v1", "nodes", "");
                self.delete(&nodes, &self.node()).await
            }
            Deed::Namespace => {
                let namespaces = self.resource("v1", "namespaces", "");
                create(&namespaces, json!({"metadata": {"name": namespace}})).await
            }
            Deed::DeleteNamespace => {
                let namespaces = self.resource("v1", "namespaces", "");
                self.delete(&namespaces, namespace).await
            }
            Deed::Count => self.count().await,
        }
    }

    async fn change_service(&self, namespace: &str, app: &str) -> Outcome {
        let services = self.resource("v1", "services", namespace);
        let change = match self.rng.below(3) {
            0 => json!({"spec": {"selector": {"app": self.one_of(&APPS)}}}),
            1 => json!({"spec": {"type": "NodePort"}}),
            _ => json!({"spec": {"type": "ClusterIP"}}),
        };
        self.merge(&services, app, change).await
    }

    async fn delete_pod(&self, namespace: &str) -> Outcome {
        let pods = self.resource("v1", "pods", namespace);
        let Some((name, uid)) = self.pod(namespace) else {
            return Ok(());
        };
        let options = DeleteOptions {
            grace_period_seconds: self
                .rng
                .choose(&[None, None, Some(0), Some(5)])
                .copied()
                .flatten(),
            uid: self.rng.chance(0.5).then_some(uid),
            ..DeleteOptions::default()
        };
        pods.delete(&name, &options).await.map(drop)
    }

    /// Takes a pod from its ReplicaSet, or gives it one.
    async fn relabel(&self, namespace: &str) -> Outcome {
        let pods = self.resource("v1", "pods", namespace);
        let Some((name, _)) = self.pod(namespace) else {
            return Ok(());
        };
        let app = self.one_of(&["x", "y", "z", "free"]);
        self.merge(&pods, &name, json!({"metadata": {"labels": {"app": app}}}))
            .await
    }

    async fn cordon(&self) -> Outcome {
        let nodes = self.resource("v1", "nodes", "");
        let change = json!({"spec": {"unschedulable": self.rng.chance(0.4)}});
        self.merge(&nodes, &self.node(), change).await
    }

    /// Counts up what everybody counts up: no step may be lost or done twice.
    async fn count(&self) -> Outcome {
        let maps = self.resource("v1", "configmaps", "default");
        let found = match maps.get("counter", "").await {
            Ok(found) => serde_json::from_slice::<Value>(&found).unwrap_or_default(),
            Err(error) if error.is_not_found() => {
                let first = json!({"metadata": {"name": "counter"}, "data": {"count": "0"}});
                return create(&maps, first).await;
            }
            Err(error) => return Err(error),
        };
        let count: u64 = found["data"]["count"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut next = found;
        next["data"]["count"] = json!((count + 1).to_string());
        let body = next.to_string().into();
        maps.replace("counter", "", body, &Default::default())
            .await
            .map(drop)
    }

    async fn delete(&self, resource: &Resource, name: &str) -> Outcome {
        let mut policies = vec![
            None,
            Some(Propagation::Background),
            Some(Propagation::Foreground),
        ];
        if self.scenario().orphaning {
            policies.push(Some(Propagation::Orphan));
        }
        let options = DeleteOptions {
            propagation: self.rng.choose(&policies).copied().flatten(),
            ..DeleteOptions::default()
        };
        resource.delete(name, &options).await.map(drop)
    }

    async fn merge(&self, resource: &Resource, name: &str, change: Value) -> Outcome {
        let patch = Patch::Merge(change);
        resource
            .patch(name, "", &patch, &Default::default())
            .await
            .map(drop)
    }

    /// Some pod of a namespace and its uid.
    fn pod(&self, namespace: &str) -> Option<(String, String)> {
        let state = self.world.state();
        let pods = state.history.all("core/pods");
        let pods: Vec<_> = pods
            .filter(|(place, _)| place.namespace == namespace)
            .map(|(place, pod)| (place.name.clone(), pod.uid().to_owned()))
            .collect();
        self.rng.choose(&pods).cloned()
    }

    fn node(&self) -> String {
        format!("node-{}", self.rng.below(self.nodes as u64))
    }

    fn one_of<'a>(&self, names: &[&'a str]) -> &'a str {
        self.rng.choose(names).copied().unwrap_or_default()
    }

    fn resource(&self, api_version: &str, plural: &str, namespace: &str) -> Resource {
        resource(&self.client, api_version, plural, namespace)
    }

    fn scenario(&self) -> &Scenario {
        &self.world.scenario
    }
}

/// Puts everything into a state in which it can come to rest: nodes take pods,
/// nothing is paused, nobody wants more than there is, nothing is left over that
/// nobody keeps.
pub async fn settle(world: &World, client: &Client) {
    persist(world, async || {
        let nodes = resource(client, "v1", "nodes", "");
        for name in names(world, "core/nodes", |_| true) {
            let change = json!({"spec": {"unschedulable": null}});
            let patch = Patch::Merge(change);
            gone_is_fine(nodes.patch(&name.1, "", &patch, &Default::default()).await)?;
        }
        for (namespace, name) in names(world, "apps/deployments", |_| true) {
            let deployments = resource(client, "apps/v1", "deployments", &namespace);
            let change = json!({"spec": {"paused": null, "replicas": 2}});
            let patch = Patch::Merge(change);
            gone_is_fine(
                deployments
                    .patch(&name, "", &patch, &Default::default())
                    .await,
            )?;
        }
        for (kind, api_version, plural) in [
            ("apps/replicasets", "apps/v1", "replicasets"),
            ("core/pods", "v1", "pods"),
        ] {
            let is_left = |object: &crate::history::Object| object.controller().is_none();
            for (namespace, name) in names(world, kind, is_left) {
                let objects = resource(client, api_version, plural, &namespace);
                gone_is_fine(objects.delete(&name, &DeleteOptions::default()).await)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Deletes everything that users made.
pub async fn clear(world: &World, client: &Client) {
    persist(world, async || {
        let namespaces = resource(client, "v1", "namespaces", "");
        for name in NAMESPACES {
            gone_is_fine(namespaces.delete(name, &DeleteOptions::default()).await)?;
        }
        Ok(())
    })
    .await;
}

/// Tries again until it works.
async fn persist(world: &World, work: impl AsyncFn() -> Result<(), Error>) {
    let end = Instant::now() + Duration::from_secs(120);
    while let Err(error) = work().await {
        if Instant::now() > end {
            let error = client::chain(&error);
            return world.violate(format_args!("without faults a request fails: {error}"));
        }
        world.clock.sleep(Duration::from_secs(1)).await;
    }
}

fn names(
    world: &World,
    kind: &str,
    wanted: impl Fn(&crate::history::Object) -> bool,
) -> Vec<(String, String)> {
    let state = world.state();
    let objects = state.history.all(kind).filter(|(_, object)| wanted(object));
    objects
        .map(|(place, _)| (place.namespace.clone(), place.name.clone()))
        .collect()
}

fn gone_is_fine<T>(outcome: Result<T, Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}

async fn create(resource: &Resource, object: Value) -> Outcome {
    let body = object.to_string().into();
    resource.create(body, &Default::default()).await.map(drop)
}

fn resource(client: &Client, api_version: &str, plural: &str, namespace: &str) -> Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvr = Gvr::new(group.to_owned(), version.to_owned(), plural.to_owned());
    client
        .resource(gvr, !namespace.is_empty())
        .namespace(namespace)
}
