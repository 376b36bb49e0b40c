//! Scores of a node by how full it would be, shared by the plugins that do so.
//!
//! Follows pkg/scheduler/framework/plugins/noderesources: resource_allocation.go,
//! least_allocated.go, most_allocated.go and requested_to_capacity_ratio.go.

use crate::cluster::{Capacity, Cluster, NodeId};
use crate::config::ScoringKind;
use crate::framework::MAX_NODE_SCORE;
use crate::pod::PodInfo;

const MAX_UTILIZATION: i64 = 100;
/// The best score of a shape's points.
const MAX_SHAPE_SCORE: i64 = 10;

/// One resource of a node, if the pod were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub allocatable: i64,
    /// What all pods would take.
    pub requested: i64,
    /// What the pods of now take.
    pub allocated: i64,
}

/// A resource of the pod at hand, with the place of its columns.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    column: Resource,
    amount: i64,
    /// Whether containers that state nothing count with a default.
    nonzero: bool,
}

#[derive(Clone, Copy, Debug)]
enum Resource {
    Cpu,
    Memory,
    EphemeralStorage,
    Scalar(usize),
    /// A scalar that no node and no pod has.
    Nowhere,
}

impl Wanted {
    /// What a pod wants of a resource.
    pub fn of(cluster: &Cluster, pod: &PodInfo, name: &str, nonzero: bool) -> Self {
        let needs = &pod.shape.resources;
        let (column, amount) = match name {
            "cpu" if nonzero => (Resource::Cpu, needs.nonzero_milli_cpu),
            "memory" if nonzero => (Resource::Memory, needs.nonzero_memory),
            "cpu" => (Resource::Cpu, needs.requests.milli_cpu),
            "memory" => (Resource::Memory, needs.requests.memory),
            "ephemeral-storage" => (Resource::EphemeralStorage, needs.requests.ephemeral_storage),
            // A scalar that the pod does not want is left out.
            _ => match (
                needs.requests.scalar(name),
                cluster.capacity.scalar_index(name),
            ) {
                (0, _) | (_, None) => (Resource::Nowhere, 0),
                (amount, Some(index)) => (Resource::Scalar(index), amount),
            },
        };
        Self {
            column,
            amount,
            nonzero,
        }
    }

    /// Whether the pod wants any of it.
    pub fn is_zero(self) -> bool {
        self.amount == 0
    }

    /// The resource on a node.
    pub fn on(self, capacity: &Capacity, node: NodeId) -> Share {
        let at = node.index();
        let (allocatable, allocated) = match self.column {
            Resource::Cpu if self.nonzero => (
                capacity.allocatable.milli_cpu[at],
                capacity.nonzero_milli_cpu[at],
            ),
            Resource::Memory if self.nonzero => {
                (capacity.allocatable.memory[at], capacity.nonzero_memory[at])
            }
            Resource::Cpu => (
                capacity.allocatable.milli_cpu[at],
                capacity.requested.milli_cpu[at],
            ),
            Resource::Memory => (
                capacity.allocatable.memory[at],
                capacity.requested.memory[at],
            ),
            Resource::EphemeralStorage => (
                capacity.allocatable.ephemeral_storage[at],
                capacity.requested.ephemeral_storage[at],
            ),
            Resource::Scalar(index) => {
                let scalar = capacity.scalar_at(index);
                (scalar.allocatable[at], scalar.requested[at])
            }
            Resource::Nowhere => (0, 0),
        };
        Share {
            allocatable,
            requested: allocated + self.amount,
            allocated,
        }
    }
}

/// The score of a node from the shares of its resources and their weights.
pub fn score(kind: &ScoringKind, shares: impl Iterator<Item = (Share, i64)>) -> i64 {
    match kind {
        ScoringKind::LeastAllocated => weighted(shares, least_allocated),
        ScoringKind::MostAllocated => weighted(shares, most_allocated),
        ScoringKind::RequestedToCapacityRatio(shape) => to_capacity_ratio(shape, shares),
    }
}

fn weighted(shares: impl Iterator<Item = (Share, i64)>, one: fn(Share) -> i64) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for (share, weight) in shares.filter(|(share, _)| share.allocatable != 0) {
        sum += one(share) * weight;
        weights += weight;
    }
    if weights == 0 { 0 } else { sum / weights }
}

fn least_allocated(share: Share) -> i64 {
    if share.requested > share.allocatable {
        return 0;
    }
    (share.allocatable - share.requested) * MAX_NODE_SCORE / share.allocatable
}

fn most_allocated(share: Share) -> i64 {
    let requested = share.requested.min(share.allocatable);
    requested * MAX_NODE_SCORE / share.allocatable
}

fn to_capacity_ratio(shape: &[(i64, i64)], shares: impl Iterator<Item = (Share, i64)>) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for (share, weight) in shares.filter(|(share, _)| share.allocatable != 0) {
        let utilization = if share.requested > share.allocatable {
            MAX_UTILIZATION
        } else {
            share.requested * MAX_UTILIZATION / share.allocatable
        };
        let score = broken_linear(shape, utilization);
        if score > 0 {
            sum += score * weight;
            weights += weight;
        }
    }
    if weights == 0 {
        return 0;
    }
    (sum as f64 / weights as f64).round() as i64
}

/// The value of a line through the points of a shape.
fn broken_linear(shape: &[(i64, i64)], at: i64) -> i64 {
    let scale = |score: i64| score * (MAX_NODE_SCORE / MAX_SHAPE_SCORE);
    let next = shape.iter().position(|(utilization, _)| at <= *utilization);
    match next {
        Some(0) => scale(shape[0].1),
        Some(next) => {
            let ((x0, y0), (x1, y1)) = (shape[next - 1], shape[next]);
            let (y0, y1) = (scale(y0), scale(y1));
            y0 + (y1 - y0) * (at - x0) / (x1 - x0)
        }
        None => shape.last().map_or(0, |(_, score)| scale(*score)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_lines_between_points() {
        let shape = [(10, 1), (50, 4), (60, 5), (70, 9)];
        for (at, want) in [
            (0, 10),
            (9, 10),
            (10, 10),
            (30, 25),
            (49, 39),
            (50, 40),
            (55, 45),
            (60, 50),
            (65, 70),
            (70, 90),
            (100, 90),
        ] {
            assert_eq!(broken_linear(&shape, at), want, "at {at}");
        }
    }
}
