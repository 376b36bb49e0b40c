//! SchedulingGates: a pod waits until somebody has lifted its gates.
//!
//! Follows pkg/scheduler/framework/plugins/schedulinggates.

use crate::framework::Plugin;
use crate::pod::PodInfo;

/// The plugin.
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn pre_enqueue(&self, pod: &PodInfo) -> Option<String> {
        if pod.gates.is_empty() {
            return None;
        }
        Some(format!(
            "waiting for scheduling gates: [{}]",
            pod.gates.join(" ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::Bench;
    use crate::testing::pod;

    #[test]
    fn gates_keep_pods_out() {
        let mut bench = Bench::new("SchedulingGates", []);
        let free = bench.read(pod("p"));
        assert_eq!(SchedulingGates.pre_enqueue(&free), None);
        let gated = bench.read(pod("p").gate("foo").gate("bar"));
        assert_eq!(
            SchedulingGates.pre_enqueue(&gated).as_deref(),
            Some("waiting for scheduling gates: [foo bar]")
        );
    }
}
