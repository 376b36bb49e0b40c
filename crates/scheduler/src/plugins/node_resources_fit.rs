//! NodeResourcesFit: a pod goes where what it asks for is left, and rather
//! where much (or, as configured, little) is left.
//!
//! Follows pkg/scheduler/framework/plugins/noderesources/fit.go.

use std::sync::Arc;

use super::resource_allocation::{Wanted, score};
use crate::cluster::{Cluster, NodeId};
use crate::config::{Config, ScoringStrategy};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection};
use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::resources::Resources;

const TOO_MANY_PODS: u32 = 0;
const CPU: u32 = 1;
const MEMORY: u32 = 2;
const EPHEMERAL_STORAGE: u32 = 3;
/// The pod's scalar resources, in its order, have the numbers from here on.
const FIRST_SCALAR: u32 = 4;

/// The plugin.
pub struct Fit {
    strategy: ScoringStrategy,
    /// The pod's scalar requests: number of the reason, columns, amount.
    scalars: Vec<(u32, Option<usize>, i64)>,
    wanted: Vec<(Wanted, i64)>,
}

impl Fit {
    /// The plugin as configured.
    pub fn new(config: &Config) -> Self {
        Self {
            strategy: config.scoring_strategy.clone(),
            scalars: Vec::new(),
            wanted: Vec::new(),
        }
    }
}

impl Plugin for Fit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        self.scalars.clear();
        let scalars = pod.shape.resources.requests.scalars.iter();
        for ((name, amount), number) in scalars.zip(FIRST_SCALAR..u64::BITS) {
            if *amount > 0 {
                let column = cluster.capacity.scalar_index(name);
                self.scalars.push((number, column, *amount));
            }
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let at = node.index();
        let capacity = &cluster.capacity;
        let (have, used) = (&capacity.allocatable, &capacity.requested);
        let wanted = &pod.shape.resources.requests;
        let mut lacks = Lacks::default();
        if used.pods[at] + 1 > have.pods[at] {
            lacks.reasons |= 1 << TOO_MANY_PODS;
        }
        lacks.check(
            CPU,
            wanted.milli_cpu,
            have.milli_cpu[at],
            used.milli_cpu[at],
        );
        lacks.check(MEMORY, wanted.memory, have.memory[at], used.memory[at]);
        let storage = (have.ephemeral_storage[at], used.ephemeral_storage[at]);
        lacks.check(
            EPHEMERAL_STORAGE,
            wanted.ephemeral_storage,
            storage.0,
            storage.1,
        );
        for &(number, column, amount) in &self.scalars {
            let (have, used) = column.map_or((0, 0), |column| {
                let scalar = capacity.scalar_at(column);
                (scalar.allocatable[at], scalar.requested[at])
            });
            lacks.check(number, amount, have, used);
        }
        lacks.rejection()
    }

    fn filters_by_node(&self) -> bool {
        true
    }

    fn reason(&self, pod: &PodInfo, number: u32) -> String {
        match number {
            TOO_MANY_PODS => "Too many pods".into(),
            CPU => "Insufficient cpu".into(),
            MEMORY => "Insufficient memory".into(),
            EPHEMERAL_STORAGE => "Insufficient ephemeral-storage".into(),
            _ => {
                let scalars = &pod.shape.resources.requests.scalars;
                let scalar = scalars.get((number - FIRST_SCALAR) as usize);
                format!("Insufficient {}", scalar.map_or("", |(name, _)| name))
            }
        }
    }

    fn pre_score(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>, _nodes: &[NodeId]) -> bool {
        self.wanted.clear();
        for (name, weight) in &self.strategy.resources {
            let wanted = Wanted::of(cluster, pod, name, true);
            self.wanted.push((wanted, *weight));
        }
        true
    }

    fn score(&self, cluster: &Cluster, _pod: &PodInfo, nodes: &[NodeId], scores: &mut [i64]) {
        let kind = &self.strategy.kind;
        for (to, node) in scores.iter_mut().zip(nodes) {
            let wanted = self.wanted.iter();
            let shares = wanted.map(|(wanted, w)| (wanted.on(&cluster.capacity, *node), *w));
            *to = score(kind, shares);
        }
    }

    fn scores_by_node(&self) -> bool {
        true
    }

    fn events(&self) -> Events {
        Events::POD_DELETE
            | Events::POD_SCALE_DOWN
            | Events::OWN_SCALE_DOWN
            | Events::NODE_ADD
            | Events::NODE_ALLOCATABLE
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Pod {
                old: Some(_),
                new: None,
            }
            | Change::Own => Hint::Queue,
            Change::Pod {
                old: Some(old),
                new: Some(new),
            } => Hint::queue_if(frees_what_is_wanted(pod, old, new)),
            Change::Node {
                old,
                new: Some(new),
            } => Hint::queue_if(
                fits_alone(pod, new) && old.is_none_or(|old| has_more(pod, old, new)),
            ),
            _ => Hint::Skip,
        }
    }
}

/// What a node lacks for a pod.
#[derive(Default)]
struct Lacks {
    reasons: u64,
    /// Whether even the empty node would lack something.
    for_good: bool,
}

impl Lacks {
    fn check(&mut self, number: u32, wanted: i64, have: i64, used: i64) {
        if wanted > 0 && wanted > have - used {
            self.reasons |= 1 << number;
            self.for_good |= wanted > have;
        }
    }

    fn rejection(self) -> Option<Rejection> {
        let code = if self.for_good {
            Code::UnschedulableAndUnresolvable
        } else {
            Code::Unschedulable
        };
        (self.reasons != 0).then_some(Rejection {
            code,
            reasons: self.reasons,
        })
    }
}

/// Every resource that the pod wants, with what two vectors have of it.
fn wanted_of<'a>(
    pod: &'a PodInfo,
    first: &'a Resources,
    second: &'a Resources,
) -> impl Iterator<Item = (i64, i64, i64)> + 'a {
    let wanted = &pod.shape.resources.requests;
    let common = ["cpu", "memory", "ephemeral-storage"].into_iter();
    let names = common.chain(wanted.scalars.iter().map(|(name, _)| &**name));
    let all = names.map(|name| (wanted.get(name), first.get(name), second.get(name)));
    all.filter(|(wanted, ..)| *wanted > 0)
}

fn frees_what_is_wanted(pod: &PodInfo, old: &PodInfo, new: &PodInfo) -> bool {
    let [old, new] = [old, new].map(|pod| &pod.shape.resources.requests);
    wanted_of(pod, old, new).any(|(_, old, new)| new < old)
}

fn fits_alone(pod: &PodInfo, node: &NodeInfo) -> bool {
    let have = &node.allocatable;
    node.allowed_pods >= 1 && wanted_of(pod, have, have).all(|(wanted, have, _)| wanted <= have)
}

fn has_more(pod: &PodInfo, old: &NodeInfo, new: &NodeInfo) -> bool {
    new.allowed_pods > old.allowed_pods
        || wanted_of(pod, &old.allocatable, &new.allocatable).any(|(_, old, new)| new > old)
}

#[cfg(test)]
mod tests;
