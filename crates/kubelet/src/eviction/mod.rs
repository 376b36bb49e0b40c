//! Node-pressure eviction: before the machine runs out of memory, disk or
//! process ids, dead containers and images that nobody uses go, and then pods,
//! one at a time.
//!
//! Follows pkg/kubelet/eviction/eviction_manager.go. A shortage is reported as
//! a condition of the node, and keeps pods away, until it was not seen for five
//! minutes.

mod local;
mod observe;
mod rank;
pub mod threshold;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stdx::Instant;
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::admission::is_critical;
use crate::container_gc;
use crate::context::Context;
use crate::doors::Kind;
use crate::events::node_reference;
use crate::image_gc;
use crate::qos::{Qos, qos};
use crate::status::Failure;
use crate::usage;
use crate::worker::PodWorkers;
use observe::{Observations, is_met, observe};
use rank::Candidate;
use threshold::{Signal, Threshold};

/// How often the kubelet looks.
const PERIOD: Duration = Duration::from_secs(10);
/// How long it waits for an evicted pod to be gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Grace of a pod that has to go at once, in seconds.
const GRACE: i64 = 1;
/// The reason of a pod that was evicted.
const EVICTED: &str = "Evicted";

/// What the machine runs short of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory.
    pub memory: bool,
    /// Room or inodes in a file system.
    pub disk: bool,
    /// Process ids.
    pub pids: bool,
}

impl Pressure {
    /// The node's conditions.
    fn conditions(self) -> Vec<&'static str> {
        let all = [
            (self.disk, "DiskPressure"),
            (self.memory, "MemoryPressure"),
            (self.pids, "PIDPressure"),
        ];
        let there = all.into_iter().filter(|(is_there, _)| *is_there);
        there.map(|(_, name)| name).collect()
    }
}

/// Why a pod is not taken while the machine runs short, if it is not.
pub fn refusal(pod: &Pod, pressure: Pressure) -> Option<Failure> {
    let conditions = pressure.conditions();
    if conditions.is_empty() || is_critical(pod) {
        return None;
    }
    // Pods that asked for memory have their share, and others may bear it.
    let only_memory = conditions == ["MemoryPressure"];
    if only_memory && (qos(pod) != Qos::BestEffort || bears_memory_pressure(pod)) {
        return None;
    }
    let message = format!(
        "Pod was rejected: The node had condition: [{}]. ",
        conditions.join(" ")
    );
    Some(Failure::new(EVICTED, message))
}

fn bears_memory_pressure(pod: &Pod) -> bool {
    let mut tolerations = crate::pod::spec(pod).tolerations.iter().flatten();
    tolerations.any(|toleration| {
        let key = toleration.key.as_deref().unwrap_or_default();
        let exists = toleration.operator.as_deref() == Some("Exists");
        let value = toleration.value.as_deref().unwrap_or_default();
        let effect = toleration.effect.as_deref().unwrap_or_default();
        matches!(effect, "" | "NoSchedule")
            && (key == "node.kubernetes.io/memory-pressure" && (exists || value.is_empty())
                || key.is_empty() && exists)
    })
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
struct Memory {
    /// Since when shortages are there, by their place among the thresholds.
    first: HashMap<usize, Instant>,
    /// Those that were acted upon and are not over.
    acted: Vec<usize>,
    memory: Option<Instant>,
    disk: Option<Instant>,
    pids: Option<Instant>,
}

/// Runs until it is dropped.
pub async fn run(cx: Arc<Context>, workers: PodWorkers) {
    let mut memory = Memory::default();
    loop {
        match look(&cx, &workers, &mut memory).await {
            Some(pod) => wait_until_gone(&cx, &pod).await,
            None => cx.clock.sleep(PERIOD).await,
        }
    }
}

/// Looks, and evicts a pod if one has to go.
async fn look(cx: &Context, workers: &PodWorkers, memory: &mut Memory) -> Option<Arc<Pod>> {
    let seen = observe(cx);
    let due = memory.judge(cx, &seen);
    if let Some(pod) = evict_excessive(cx, workers).await {
        return Some(pod);
    }
    let worst = due.iter().min_by_key(|threshold| threshold.signal)?;
    let resource = worst.signal.resource();
    let node = node_reference(&cx.config.node_name);
    let text = format!("Attempting to reclaim {resource}");
    cx.events
        .event(&node, Kind::Warning, "EvictionThresholdMet", text);
    if worst.signal.is_of_disk() {
        container_gc::remove_unused(cx, workers).await;
        image_gc::remove_unused(cx).await;
        let seen = observe(cx);
        if !cx
            .config
            .eviction
            .thresholds
            .iter()
            .any(|one| is_met(one, &seen, true))
        {
            tracing::info!(
                resource,
                "dead containers and unused images were enough to go"
            );
            return None;
        }
    }
    evict_one(cx, workers, worst, &due, &seen).await
}

impl Memory {
    /// The shortages that have to be acted upon. Says how the machine does.
    fn judge(&mut self, cx: &Context, seen: &Observations) -> Vec<Threshold> {
        let now = cx.clock.now();
        let all = &cx.config.eviction.thresholds;
        let met = |(index, threshold): &(usize, &Threshold)| {
            is_met(threshold, seen, self.acted.contains(index))
        };
        let met: Vec<(usize, &Threshold)> = all.iter().enumerate().filter(met).collect();
        self.first
            .retain(|index, _| met.iter().any(|(one, _)| one == index));
        let mut pressure = Pressure::default();
        for (index, threshold) in &met {
            self.first.entry(*index).or_insert(now);
            match threshold.signal {
                Signal::Memory => pressure.memory = true,
                Signal::Pids => pressure.pids = true,
                _ => pressure.disk = true,
            }
        }
        let transition = cx.config.eviction.transition;
        cx.set_pressure(Pressure {
            memory: held(&mut self.memory, pressure.memory, now, transition),
            disk: held(&mut self.disk, pressure.disk, now, transition),
            pids: held(&mut self.pids, pressure.pids, now, transition),
        });
        let is_due = |(index, threshold): &(usize, &Threshold)| {
            let grace = threshold.grace.unwrap_or_default();
            self.first
                .get(index)
                .is_some_and(|first| now - *first >= grace)
        };
        let due: Vec<(usize, &Threshold)> = met.into_iter().filter(is_due).collect();
        self.acted = due.iter().map(|(index, _)| *index).collect();
        due.into_iter().map(|(_, threshold)| *threshold).collect()
    }
}

fn held(seen: &mut Option<Instant>, is_so: bool, now: Instant, transition: Duration) -> bool {
    if is_so {
        *seen = Some(now);
    }
    seen.is_some_and(|seen| now == seen || now - seen < transition)
}

/// Evicts a pod that writes more than it may.
async fn evict_excessive(cx: &Context, workers: &PodWorkers) -> Option<Arc<Pod>> {
    for pod in workers.active() {
        if !local::is_limited(&pod) {
            continue;
        }
        let usage = usage::of_pod(cx, &pod).await;
        if let Some(usage) = usage
            && let Some(message) = local::excess(&pod, &usage)
            && evict(cx, workers, &pod, message, GRACE, false)
        {
            return Some(pod);
        }
    }
    None
}

/// Evicts the pod that goes first.
async fn evict_one(
    cx: &Context,
    workers: &PodWorkers,
    worst: &Threshold,
    met: &[Threshold],
    seen: &Observations,
) -> Option<Arc<Pod>> {
    let mut candidates = Vec::new();
    for pod in workers.active() {
        let usage = usage::of_pod(cx, &pod).await;
        candidates.push(Candidate { pod, usage });
    }
    rank::rank(&mut candidates, worst.signal);
    let grace = match worst.grace {
        Some(_) => cx.config.eviction.pod_grace_max,
        None => GRACE,
    };
    for candidate in candidates {
        let message = rank::message(&candidate, worst.signal, met, seen);
        if evict(cx, workers, &candidate.pod, message, grace, true) {
            return Some(candidate.pod);
        }
    }
    tracing::warn!(resource = worst.signal.resource(), "no pod can be evicted");
    None
}

/// Ends a pod unless the cluster cannot do without it. Says whether it ends.
fn evict(
    cx: &Context,
    workers: &PodWorkers,
    pod: &Arc<Pod>,
    message: String,
    grace: i64,
    is_disruption: bool,
) -> bool {
    if is_critical(pod) {
        tracing::warn!(pod = pod.key(), "a critical pod is not evicted");
        return false;
    }
    cx.warn(pod, EVICTED, message.clone());
    tracing::info!(pod = pod.key(), message, "a pod is evicted");
    workers.evict(
        pod.uid(),
        Failure::new(EVICTED, message),
        grace,
        is_disruption,
    );
    true
}

/// Waits until nothing of the pod takes room any more.
async fn wait_until_gone(cx: &Context, pod: &Pod) {
    let directory = cx.pod_directory(pod);
    let gone = async {
        while directory.exists() {
            cx.clock.sleep(Duration::from_secs(1)).await;
        }
    };
    if cx.clock.timeout(PATIENCE, gone).await.is_err() {
        tracing::warn!(pod = pod.key(), "an evicted pod takes long to go");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::{Value, json};

    fn refused(spec: Value, pressure: Pressure) -> Option<String> {
        refusal(&pod(spec), pressure).map(|failure| failure.message)
    }

    #[test]
    fn a_machine_that_runs_short_takes_few_pods() {
        let memory = Pressure {
            memory: true,
            ..Pressure::default()
        };
        let both = Pressure {
            disk: true,
            ..memory
        };
        let plain = || json!({"containers": [{"name": "c"}]});
        let asking = json!({"containers": [
            {"name": "c", "resources": {"requests": {"memory": "1Mi"}}}
        ]});
        let bearing = json!({"containers": [{"name": "c"}], "tolerations": [
            {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
        ]});
        let critical = json!({"containers": [{"name": "c"}], "priority": 2_000_000_000});
        assert_eq!(refused(plain(), Pressure::default()), None);
        assert_eq!(
            refused(plain(), memory).as_deref(),
            Some("Pod was rejected: The node had condition: [MemoryPressure]. ")
        );
        assert_eq!(refused(asking.clone(), memory), None);
        assert_eq!(refused(bearing.clone(), memory), None);
        assert_eq!(refused(critical, both), None);
        for spec in [asking, bearing] {
            assert_eq!(
                refused(spec, both).as_deref(),
                Some("Pod was rejected: The node had condition: [DiskPressure MemoryPressure]. ")
            );
        }
    }
}
