//! What has to hold: some at every commit, some when everything is at rest. A
//! file each and one table.
//!
//! What the server tells its clients is held in `answers` (single objects: reads,
//! writes, writes on condition) and `taps` (lists and watches), what the store
//! promises its server (acknowledged writes, recovery) in `ledger` and `host`, and
//! what informers make of it all in `observer`.

mod adoption;
mod allocations;
mod bindings;
mod budgets;
mod capacity;
mod conditions;
mod counter;
mod definitions;
mod deployments;
mod endpoint_slices;
mod endpoints;
mod finalizers;
mod garbage;
mod generations;
mod identity;
mod leftovers;
mod nodes;
mod quotas;
mod replica_sets;
mod surge;
#[cfg(test)]
mod tests;

use crate::asks::Asks;
use crate::history::{History, Object, Step};
use crate::knowledge::Knowledge;
use crate::scenario::Scenario;
use serde_json::Value;
use stdx::Instant;

/// What a promise is held against.
pub struct View<'a> {
    /// Everything that has happened, up to and including the commit in question.
    pub history: &'a History,
    /// What the controllers were told.
    pub knowledge: &'a Knowledge,
    /// What clients wanted to go.
    pub asks: &'a Asks,
    /// What can go wrong in this run.
    pub scenario: &'a Scenario,
    /// The time.
    pub now: Instant,
}

/// Something that has to hold.
pub trait Invariant: Send {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Holds a commit against it.
    fn step(&mut self, _view: &View<'_>, _step: &Step) -> Result<(), String> {
        Ok(())
    }

    /// Holds the state against it when everything should be at rest.
    fn rest(&mut self, _view: &View<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// All invariants.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(adoption::Adoption),
        Box::new(allocations::Allocations),
        Box::new(bindings::Bindings),
        Box::new(budgets::Budgets::default()),
        Box::new(capacity::Capacity),
        Box::new(conditions::Conditions),
        Box::new(counter::Counter::default()),
        Box::new(definitions::Definitions),
        Box::new(deployments::Deployments),
        Box::new(endpoint_slices::EndpointSlices),
        Box::new(endpoints::Endpoints),
        Box::new(finalizers::Finalizers),
        Box::new(garbage::Garbage),
        Box::new(generations::Generations),
        Box::new(identity::Identity::default()),
        Box::new(leftovers::Leftovers),
        Box::new(nodes::Nodes),
        Box::new(quotas::Quotas::default()),
        Box::new(replica_sets::ReplicaSets),
        Box::new(surge::Surge),
    ]
}

/// Whether a pod has come to its end.
fn is_finished(pod: &Object) -> bool {
    matches!(pod.text("/status/phase"), "Failed" | "Succeeded")
}

/// What a pod asks of a node, in thousandths of a core.
fn milli_cpu(pod: &Object) -> i64 {
    let asked = pod
        .items("/spec/containers")
        .iter()
        .filter_map(|container| {
            let cpu = container.pointer("/resources/requests/cpu")?.as_str()?;
            cpu.strip_suffix('m')?.parse::<i64>().ok()
        });
    asked.sum()
}

/// A number or a share of a total, as `maxSurge` and `maxUnavailable` are given.
fn scaled(value: &Value, total: i64, up: bool) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%'));
    match percent.and_then(|text| text.parse::<i64>().ok()) {
        Some(percent) if up => (percent * total + 99) / 100,
        Some(percent) => percent * total / 100,
        None => value.as_i64().unwrap_or(0),
    }
}

/// How many pods a deployment may have, and has to have, while it rolls.
fn fence(deployment: &Value) -> (i64, i64) {
    let spec = &deployment["spec"];
    let replicas = spec["replicas"].as_i64().unwrap_or(1);
    if spec["strategy"]["type"] == "Recreate" {
        return (replicas, 0);
    }
    let rolling = &spec["strategy"]["rollingUpdate"];
    let surge = scaled(&rolling["maxSurge"], replicas, true);
    let unavailable = scaled(&rolling["maxUnavailable"], replicas, false);
    let unavailable = if surge == 0 && unavailable == 0 {
        1
    } else {
        unavailable
    };
    (replicas + surge, (replicas - unavailable).max(0))
}
