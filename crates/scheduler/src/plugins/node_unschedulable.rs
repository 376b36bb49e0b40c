//! NodeUnschedulable: a cordoned node takes no pods, except those that tolerate
//! the taint that stands for it.
//!
//! Follows pkg/scheduler/framework/plugins/nodeunschedulable.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection};
use crate::pod::PodInfo;
use crate::taint::{Taint, tolerated};

/// The plugin.
pub struct NodeUnschedulable;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn pre_filter(&mut self, cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        if cluster.traits().unschedulable == 0
            || tolerated(&pod.shape.tolerations, &Taint::unschedulable())
        {
            return PreFilter::Skip;
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, _pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let cordoned = cluster.node(node).is_some_and(|node| node.unschedulable);
        cordoned.then_some(Rejection {
            code: Code::UnschedulableAndUnresolvable,
            reasons: 1,
        })
    }

    fn filters_by_node(&self) -> bool {
        true
    }

    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        "node(s) were unschedulable".into()
    }

    fn events(&self) -> Events {
        Events::NODE_ADD | Events::NODE_TAINT | Events::OWN_TOLERATION
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Node {
                old,
                new: Some(new),
            } => {
                let was_open = old.is_some_and(|old| !old.unschedulable);
                Hint::queue_if(!was_open && !new.unschedulable)
            }
            Change::Own => {
                let tolerations = &pod.shape.tolerations;
                Hint::queue_if(tolerated(tolerations, &Taint::unschedulable()))
            }
            _ => Hint::Skip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::{Bench, node_info, unresolvable};
    use crate::testing::{node, pod};

    #[test]
    fn cordoned_nodes_take_only_pods_that_tolerate_it() {
        let mut bench = Bench::new("NodeUnschedulable", [node("a").unschedulable(), node("b")]);
        let cordoned = unresolvable(&["node(s) were unschedulable"]);
        assert_eq!(bench.filter(pod("p")), [cordoned, Ok(())]);
        let tolerant = pod("p").toleration(crate::taint::UNSCHEDULABLE, "Exists", "", "NoSchedule");
        assert_eq!(bench.filter(tolerant), [Ok(()), Ok(())]);
    }

    #[test]
    fn a_node_that_opens_helps() {
        let mut bench = Bench::new("NodeUnschedulable", []);
        let pod = bench.read(pod("p"));
        let open = node_info(node("a"));
        let closed = node_info(node("a").unschedulable());
        for (old, new, want) in [
            (None, &open, Hint::Queue),
            (None, &closed, Hint::Skip),
            (Some(&closed), &open, Hint::Queue),
            (Some(&open), &closed, Hint::Skip),
        ] {
            assert_eq!(bench.hint(&pod, &Event::of_node(old, Some(new))), want);
        }
    }
}
