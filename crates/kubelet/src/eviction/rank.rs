//! Which pod goes first, and what is said about it.
//!
//! Follows pkg/kubelet/eviction/helpers.go: first those that use more than
//! they asked for, then those of lower priority, then those that use most
//! beyond what they asked for.

use std::cmp::Reverse;
use std::sync::Arc;

use meta::Quantity;
use typed::Typed;
use typed::api::core::v1::Pod;

use super::observe::{Left, Observations};
use super::threshold::{Signal, Threshold};
use crate::pod::{containers, spec};
use crate::resources::{pod_requests, requests};
use crate::usage::PodUsage;

/// A pod that may go.
pub struct Candidate {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it uses, if that could be read.
    pub usage: Option<PodUsage>,
}

/// Puts those first that go first.
pub fn rank(candidates: &mut [Candidate], signal: Signal) {
    candidates.sort_by_cached_key(|candidate| {
        let priority = spec(&candidate.pod).priority.unwrap_or(0);
        let name = candidate.pod.key();
        let Some(usage) = &candidate.usage else {
            // Of whom nothing is known goes first of all.
            return (false, false, priority, Reverse(0), name);
        };
        let used = used(usage, signal);
        let wished = match signal {
            Signal::Pids => 0,
            _ => wished(&candidate.pod, signal),
        };
        // Process ids are not asked for, so nobody exceeds what he asked for.
        let exceeds = signal != Signal::Pids && used > wished;
        (true, !exceeds, priority, Reverse(used - wished), name)
    });
}

fn used(usage: &PodUsage, signal: Signal) -> i64 {
    let used = match signal {
        Signal::Memory => usage.stats.memory_working_set_bytes,
        Signal::Pids => usage.stats.pids,
        Signal::NodeFs | Signal::ImageFs => usage.disk().used_bytes,
        Signal::NodeFsInodes | Signal::ImageFsInodes => usage.disk().inodes_used,
    };
    i64::try_from(used).unwrap_or(i64::MAX)
}

fn wished(pod: &Pod, signal: Signal) -> i64 {
    let wishes = pod_requests(pod);
    let wish = wishes.get(signal.resource()).copied();
    wish.unwrap_or_default().value()
}

/// Why the pod goes. `met` are all shortages that there are.
pub fn message(
    candidate: &Candidate,
    signal: Signal,
    met: &[Threshold],
    seen: &Observations,
) -> String {
    let resource = signal.resource();
    let mut text = format!("The node was low on resource: {resource}. ");
    let same = met.iter().find(|one| one.signal.resource() == resource);
    if let Some(threshold) = same
        && let Some(Left {
            available,
            capacity,
        }) = seen.get(&threshold.signal)
    {
        let below = signal.quantity(threshold.below.of(*capacity));
        let available = signal.quantity(*available);
        text += &format!("Threshold quantity: {below}, available: {available}. ");
    }
    let Some(usage) = &candidate.usage else {
        return text;
    };
    for (_, container) in containers(&candidate.pod) {
        let known = usage
            .containers
            .iter()
            .find(|one| one.name == container.name);
        let used = known.and_then(|known| match signal {
            Signal::Memory => Some(known.stats.memory_working_set_bytes),
            Signal::NodeFs | Signal::ImageFs => Some(known.disk().used_bytes),
            _ => None,
        });
        let wished = requests(&container).get(resource).copied();
        let wished = wished.unwrap_or_else(|| Quantity::from_units(0));
        if let Some(used) = used
            .map(|used| signal.quantity(used))
            .filter(|u| *u > wished)
        {
            let name = &container.name;
            text += &format!(
                "Container {name} was using {used}, request is {wished}, has larger consumption of {resource}. "
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eviction::threshold::Eviction;
    use crate::testing::pod_named;
    use crate::usage::ContainerUsage;
    use container::status::Stats;
    use serde_json::json;

    fn candidate(name: &str, priority: i32, wish: &str, used: u64) -> Candidate {
        let pod = pod_named(
            name,
            json!({"priority": priority, "containers": [
                {"name": "main", "resources": {"requests": {"memory": wish}}}
            ]}),
        );
        let stats = Stats {
            memory_working_set_bytes: used,
            pids: used,
            ..Stats::default()
        };
        let container = ContainerUsage {
            name: "main".to_owned(),
            stats: stats.clone(),
            ..ContainerUsage::default()
        };
        Candidate {
            pod: Arc::new(pod),
            usage: Some(PodUsage {
                stats,
                containers: vec![container],
                ..PodUsage::default()
            }),
        }
    }

    fn order(signal: Signal) -> Vec<String> {
        let unknown = Candidate {
            usage: None,
            ..candidate("unknown", 9, "0", 0)
        };
        let mut all = vec![
            candidate("modest", 0, "10M", 9_000_000),
            candidate("greedy", 0, "1M", 9_000_000),
            candidate("greedier", 0, "1M", 19_000_000),
            candidate("important", 5, "1M", 90_000_000),
            unknown,
        ];
        rank(&mut all, signal);
        all.iter().map(|one| one.pod.name().to_owned()).collect()
    }

    #[test]
    fn who_takes_more_than_his_share_goes_first() {
        let memory = ["unknown", "greedier", "greedy", "important", "modest"];
        assert_eq!(order(Signal::Memory), memory);
        let pids = ["unknown", "greedier", "greedy", "modest", "important"];
        assert_eq!(order(Signal::Pids), pids);
    }

    #[test]
    fn the_message_is_upstreams() {
        let seen = Observations::from([(
            Signal::Memory,
            Left {
                available: 50 << 20,
                capacity: 8 << 30,
            },
        )]);
        let met = Eviction::default().thresholds;
        let greedy = candidate("greedy", 0, "1Mi", 90 << 20);
        assert_eq!(
            message(&greedy, Signal::Memory, &met, &seen),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container main was using 90Mi, request is 1Mi, has larger consumption of memory. "
        );
        let modest = candidate("modest", 0, "100Mi", 90 << 20);
        assert_eq!(
            message(&modest, Signal::Memory, &met[..1], &seen),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        );
    }
}
