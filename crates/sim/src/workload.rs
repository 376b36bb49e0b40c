//! What users do: apply, scale, roll out and back, relabel, evict, define, cordon
//! and delete, without looking at what comes of it.

mod acts;
mod deeds;
mod end;
mod manifests;

use crate::network::Network;
use crate::scenario::Scenario;
use crate::world::World;
use client::{Client, Error, Gvr, Resource};
pub use deeds::Deeds;
pub use end::{clear, is_of_users, settle};
use serde_json::{Value, json};
use stdx::Rng;

/// The namespaces that users work in.
pub const NAMESPACES: [&str; 2] = ["a", "b"];
const APPS: [&str; 3] = ["x", "y", "z"];
/// The group of the custom kind that users define.
pub(crate) const GROUP: &str = "sim.example";
/// What keeps a custom object until somebody lets it go.
const HOLD: &str = "sim.example/hold";

/// The users.
pub struct Workload {
    world: World,
    client: Client,
    /// Who evicts pods, as whoever empties a node does.
    evictor: Client,
    rng: Rng,
    nodes: usize,
}

type Outcome = Result<(), Error>;

impl Workload {
    /// Users of the cluster.
    pub fn new(world: &World, network: &Network) -> Self {
        Self {
            world: world.clone(),
            client: network.client(world, "desk", "user"),
            evictor: network.client(world, "desk", EVICTOR),
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
            let deed = self.scenario().deeds.choose(&self.rng);
            let Some(deed) = deed else { continue };
            if let Err(error) = self.act(deed).await {
                let error = client::chain(&error);
                self.world
                    .trace
                    .note(format_args!("user {deed:?}: {error}"));
            }
        }
    }

    fn resource(&self, api_version: &str, plural: &str, namespace: &str) -> Resource {
        resource(&self.client, api_version, plural, namespace)
    }

    fn scenario(&self) -> &Scenario {
        &self.world.scenario
    }
}

/// The name of who evicts pods.
pub const EVICTOR: &str = "evictor";

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
