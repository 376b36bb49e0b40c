//! DynamicResources: pods with claims to devices.
//!
//! Devices are not allocated yet, so such a pod is refused by name rather than
//! placed without its devices.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::framework::{Code, Plugin, PreFilter};
use crate::pod::PodInfo;

/// The plugin.
pub struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn pre_filter(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        if pod.shape.resource_claims.is_empty() {
            return PreFilter::Skip;
        }
        let claims = pod.shape.resource_claims.join(", ");
        PreFilter::Reject(
            Code::UnschedulableAndUnresolvable,
            format!("pod has resource claims ({claims}), which this scheduler cannot allocate yet"),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::plugins::testing::{Bench, unresolvable};
    use crate::testing::{node, pod};
    use typed::api::core::v1::PodResourceClaim;

    #[test]
    fn claims_are_refused_by_name() {
        let mut bench = Bench::new("DynamicResources", [node("a")]);
        assert_eq!(bench.filter(pod("p")), [Ok(())]);
        let claiming = pod("p").spec(|spec| {
            spec.resource_claims = Some(vec![PodResourceClaim {
                name: "gpu".into(),
                ..Default::default()
            }]);
        });
        let words = "pod has resource claims (gpu), which this scheduler cannot allocate yet";
        assert_eq!(bench.filter(claiming), [unresolvable(&[words])]);
    }
}
