//! VolumeBinding: pods with PersistentVolumeClaims.
//!
//! Claims are not bound to volumes yet, so such a pod is refused by name rather
//! than placed where its volume may not be.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::framework::{Code, Plugin, PreFilter};
use crate::pod::PodInfo;

/// The plugin.
pub struct VolumeBinding;

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn pre_filter(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        if pod.shape.volume_claims.is_empty() {
            return PreFilter::Skip;
        }
        let claims = pod.shape.volume_claims.join(", ");
        PreFilter::Reject(
            Code::UnschedulableAndUnresolvable,
            format!("pod uses PersistentVolumeClaims ({claims}), which cannot be bound yet"),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::plugins::testing::{Bench, unresolvable};
    use crate::testing::{node, pod};

    #[test]
    fn claims_are_refused_by_name() {
        let mut bench = Bench::new("VolumeBinding", [node("a")]);
        assert_eq!(bench.filter(pod("p")), [Ok(())]);
        let words = "pod uses PersistentVolumeClaims (data, logs), which cannot be bound yet";
        let claiming = pod("p").claim("data").claim("logs");
        assert_eq!(bench.filter(claiming), [unresolvable(&[words])]);
    }
}
