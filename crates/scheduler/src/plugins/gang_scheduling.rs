//! GangScheduling: pods that are to be placed together with others or not at
//! all. Groups are not placed yet, so such a pod is refused by name rather than
//! placed alone.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::framework::{Code, Plugin, PreFilter};
use crate::pod::PodInfo;

/// The plugin.
pub struct GangScheduling;

impl Plugin for GangScheduling {
    fn name(&self) -> &'static str {
        "GangScheduling"
    }

    fn pre_filter(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        if !pod.shape.scheduling_group {
            return PreFilter::Skip;
        }
        PreFilter::Reject(
            Code::UnschedulableAndUnresolvable,
            "pod belongs to a scheduling group, which this scheduler cannot place yet".into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::plugins::testing::{Bench, unresolvable};
    use crate::testing::{node, pod};

    #[test]
    fn members_of_groups_are_refused() {
        let mut bench = Bench::new("GangScheduling", [node("a")]);
        let member = pod("p").spec(|spec| spec.scheduling_group = Some(Default::default()));
        let words = "pod belongs to a scheduling group, which this scheduler cannot place yet";
        assert_eq!(bench.filter(member), [unresolvable(&[words])]);
    }
}
