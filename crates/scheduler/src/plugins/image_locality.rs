//! ImageLocality: rather nodes that already have the pod's images.
//!
//! Follows pkg/scheduler/framework/plugins/imagelocality.

use std::sync::Arc;

use crate::cluster::{Cluster, Image, NodeId};
use crate::framework::{MAX_NODE_SCORE, Plugin};
use crate::pod::PodInfo;

const MB: i64 = 1024 * 1024;
const MIN_THRESHOLD: i64 = 23 * MB;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MB;

/// The plugin.
#[derive(Default)]
pub struct ImageLocality;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    /// Without any of the images anywhere, all nodes would score nothing.
    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        known(cluster, pod).next().is_some()
    }

    fn score(&self, cluster: &Cluster, pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        let total = cluster.node_count();
        let images: Vec<(&Image, i64)> = known(cluster, pod)
            .map(|image| (image, scaled(image, total)))
            .collect();
        for (score, node) in scores.iter_mut().zip(nodes) {
            let here = images.iter().filter(|(image, _)| image.is_on(*node));
            let sum = here.map(|(_, scaled)| scaled).sum();
            *score = priority(sum, pod.shape.images.len() as i64);
        }
    }
}

fn known<'a>(cluster: &'a Cluster, pod: &'a PodInfo) -> impl Iterator<Item = &'a Image> {
    let names = pod.shape.images.iter();
    names.filter_map(|name| cluster.images.get(name))
}

/// An image that few nodes have counts less, so that not all pods run after it.
fn scaled(image: &Image, total: usize) -> i64 {
    let spread = image.nodes() as f64 / total.max(1) as f64;
    (image.size as f64 * spread) as i64
}

fn priority(sum: i64, containers: i64) -> i64 {
    let max = MAX_CONTAINER_THRESHOLD * containers;
    let sum = sum.clamp(MIN_THRESHOLD, max.max(MIN_THRESHOLD));
    MAX_NODE_SCORE * (sum - MIN_THRESHOLD) / (max - MIN_THRESHOLD).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::Bench;
    use crate::testing::{NodeBuilder, node, pod};

    fn small(name: &str) -> NodeBuilder {
        node(name)
            .image(&["gcr.io/40:latest", "gcr.io/40:v1"], 40 * MB)
            .image(&["gcr.io/300:latest", "gcr.io/300:v1"], 300 * MB)
            .image(&["gcr.io/2000:latest"], 2000 * MB)
    }

    fn large(name: &str) -> NodeBuilder {
        node(name)
            .image(&["gcr.io/250:latest"], 250 * MB)
            .image(&["gcr.io/10:latest", "gcr.io/10:v1"], 10 * MB)
    }

    #[test]
    fn images_that_are_here_count_by_size_and_spread() {
        for (images, nodes, want) in [
            // 40 MB on one of two nodes count 20 MB, which is below the threshold.
            (
                &["gcr.io/40", "gcr.io/250"][..],
                vec![small("a"), large("b")],
                vec![0, 5],
            ),
            (
                &["gcr.io/40", "gcr.io/300"],
                vec![small("a"), large("b")],
                vec![7, 0],
            ),
            (
                &["gcr.io/10", "gcr.io/2000"],
                vec![small("a"), large("b")],
                vec![49, 0],
            ),
            (
                &["gcr.io/10", "gcr.io/2000"],
                vec![small("a"), large("b"), node("c")],
                vec![32, 0, 0],
            ),
        ] {
            let pod = images.iter().fold(pod("p"), |pod, image| pod.image(image));
            let mut bench = Bench::new("ImageLocality", nodes);
            assert_eq!(bench.scores(pod), Some(want), "{images:?}");
        }
        let mut bench = Bench::new("ImageLocality", [small("a")]);
        assert_eq!(bench.scores(pod("p").image("gcr.io/unknown")), None);
    }
}
