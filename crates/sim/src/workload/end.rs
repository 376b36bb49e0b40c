//! What users do when things go right again: first everything so that it can come
//! to rest, then everything away.

use super::{GROUP, NAMESPACES, resource};
use crate::history::Object;
use crate::world::World;
use client::{Client, DeleteOptions, Error, Patch, Resource};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Puts everything into a state in which it can come to rest: nodes take pods,
/// nothing is paused or held, nobody wants more than there is or may have, nothing
/// is left over that nobody keeps.
pub async fn settle(world: &World, client: &Client) {
    let plenty = json!({"pods": "100", "requests.cpu": "100", "services": "100",
        "configmaps": "100", "count/deployments.apps": "100"});
    let changes = [
        ("core/resourcequotas", json!({"spec": {"hard": plenty}})),
        ("core/nodes", json!({"spec": {"unschedulable": null}})),
        (
            "apps/deployments",
            json!({"spec": {"paused": null, "replicas": 2}}),
        ),
        (
            "core/replicationcontrollers",
            json!({"spec": {"replicas": 1}}),
        ),
        (
            "sim.example/widgets",
            json!({"metadata": {"finalizers": null}}),
        ),
    ];
    persist(world, async || {
        for (kind, change) in &changes {
            let patch = Patch::Merge(change.clone());
            for (namespace, name) in names(world, kind, |_| true) {
                let objects = of_kind(client, kind, &namespace);
                let options = Default::default();
                gone_is_fine(objects.patch(&name, "", &patch, &options).await)?;
            }
        }
        let is_left = |object: &Object| object.controller().is_none();
        delete(world, client, "apps/replicasets", is_left).await?;
        delete(world, client, "core/pods", is_left).await
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
        let definitions = "apiextensions.k8s.io/customresourcedefinitions";
        delete(world, client, definitions, |_| true).await
    })
    .await;
}

/// Whether something is there only because users made it.
pub fn is_of_users(place: &crate::history::Place) -> bool {
    NAMESPACES.contains(&place.namespace.as_str())
        || place.kind.starts_with(GROUP)
        || matches!(
            place.kind.as_str(),
            "networking.k8s.io/ipaddresses"
                | "allocations/nodeports"
                | "apiextensions.k8s.io/customresourcedefinitions"
        )
}

async fn delete(
    world: &World,
    client: &Client,
    kind: &str,
    wanted: impl Fn(&Object) -> bool,
) -> Result<(), Error> {
    for (namespace, name) in names(world, kind, wanted) {
        let objects = of_kind(client, kind, &namespace);
        gone_is_fine(objects.delete(&name, &DeleteOptions::default()).await)?;
    }
    Ok(())
}

fn of_kind(client: &Client, kind: &str, namespace: &str) -> Resource {
    match kind.split_once('/') {
        Some((group, plural)) if group != "core" => {
            resource(client, &format!("{group}/v1"), plural, namespace)
        }
        _ => resource(client, "v1", kind.trim_start_matches("core/"), namespace),
    }
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

fn names(world: &World, kind: &str, wanted: impl Fn(&Object) -> bool) -> Vec<(String, String)> {
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
