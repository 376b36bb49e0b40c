//! NodeName: a pod that names its node goes there or nowhere.
//!
//! Follows pkg/scheduler/framework/plugins/nodename. A pod with `spec.nodeName`
//! counts as placed and never reaches the queue; the plugin is there for
//! those who ask it about a pod before that.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection};
use crate::pod::PodInfo;

/// The plugin.
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn pre_filter(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        match pod.node_name {
            Some(_) => PreFilter::Run,
            None => PreFilter::Skip,
        }
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let name = cluster.node(node).map(|node| node.name());
        let fits = pod.node_name.is_none() || pod.node_name.as_deref() == name;
        (!fits).then_some(Rejection {
            code: Code::UnschedulableAndUnresolvable,
            reasons: 1,
        })
    }

    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        "node(s) didn't match the requested node name".into()
    }

    fn events(&self) -> Events {
        Events::NODE_ADD
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        let Change::Node { new: Some(new), .. } = event.change else {
            return Hint::Skip;
        };
        Hint::queue_if(pod.node_name.as_deref() == Some(new.name()))
    }
}

#[cfg(test)]
mod tests {
    use crate::plugins::testing::{Bench, unresolvable};
    use crate::testing::{node, pod};

    #[test]
    fn only_the_named_node_will_do() {
        let mut bench = Bench::new("NodeName", [node("foo"), node("bar")]);
        assert_eq!(bench.filter(pod("p")), [Ok(()), Ok(())]);
        let wrong = unresolvable(&["node(s) didn't match the requested node name"]);
        assert_eq!(bench.filter(pod("p").node("foo")), [Ok(()), wrong]);
    }
}
