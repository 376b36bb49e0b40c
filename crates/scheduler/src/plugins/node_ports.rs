//! NodePorts: two pods cannot have the same port of a node.
//!
//! Follows pkg/scheduler/framework/plugins/nodeports.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::event::{Change, Event, Events};
use crate::framework::{Code, Hint, Plugin, PreFilter, Rejection};
use crate::pod::{HostPort, PodInfo};

/// The plugin.
pub struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn pre_filter(&mut self, _cluster: &mut Cluster, pod: &Arc<PodInfo>) -> PreFilter {
        if pod.shape.host_ports.is_empty() {
            return PreFilter::Skip;
        }
        PreFilter::Run
    }

    fn filter(&self, cluster: &Cluster, pod: &PodInfo, node: NodeId) -> Option<Rejection> {
        let mut others = cluster.pods_on(node).iter();
        let taken = others.any(|other| conflict(&other.shape.host_ports, &pod.shape.host_ports));
        taken.then_some(Rejection {
            code: Code::Unschedulable,
            reasons: 1,
        })
    }

    fn filters_by_node(&self) -> bool {
        true
    }

    fn reason(&self, _pod: &PodInfo, _number: u32) -> String {
        "node(s) didn't have free ports for the requested pod ports".into()
    }

    fn events(&self) -> Events {
        Events::POD_DELETE | Events::NODE_ADD
    }

    fn hint(&self, _cluster: &Cluster, pod: &PodInfo, event: &Event<'_>) -> Hint {
        match event.change {
            Change::Pod { old: Some(old), .. } => {
                Hint::queue_if(conflict(&old.shape.host_ports, &pod.shape.host_ports))
            }
            _ => Hint::Queue,
        }
    }
}

fn conflict(ours: &[HostPort], theirs: &[HostPort]) -> bool {
    let mut ours = ours.iter();
    ours.any(|our| theirs.iter().any(|their| our.conflicts(their)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::testing::{Bench, unschedulable};
    use crate::testing::{node, pod};

    type Ports = &'static [(&'static str, &'static str, i32)];

    fn with_ports(name: &str, ports: Ports) -> crate::testing::PodBuilder {
        let ports = ports.iter();
        ports.fold(pod(name), |pod, (ip, protocol, port)| {
            pod.host_port(ip, protocol, *port)
        })
    }

    #[test]
    fn ports_of_a_node_are_taken_once() {
        let cases: [(Ports, Ports, bool); 12] = [
            (&[], &[], true),
            (
                &[("127.0.0.1", "UDP", 8080)],
                &[("127.0.0.1", "UDP", 9090)],
                true,
            ),
            (
                &[("127.0.0.1", "UDP", 8080)],
                &[("127.0.0.1", "UDP", 8080)],
                false,
            ),
            (
                &[("127.0.0.1", "TCP", 8080)],
                &[("127.0.0.1", "TCP", 8080)],
                false,
            ),
            (
                &[("127.0.0.1", "TCP", 8080)],
                &[("127.0.0.2", "TCP", 8080)],
                true,
            ),
            (
                &[("127.0.0.1", "UDP", 8080)],
                &[("127.0.0.1", "UDP", 8080), ("127.0.0.1", "TCP", 8080)],
                false,
            ),
            (
                &[("127.0.0.1", "TCP", 8001), ("127.0.0.1", "UDP", 8080)],
                &[("127.0.0.1", "TCP", 8001), ("127.0.0.1", "UDP", 8081)],
                false,
            ),
            (
                &[("0.0.0.0", "TCP", 8001)],
                &[("127.0.0.1", "TCP", 8001)],
                false,
            ),
            (
                &[("127.0.0.1", "TCP", 8001)],
                &[("0.0.0.0", "TCP", 8001)],
                false,
            ),
            (&[("", "", 8001)], &[("10.0.10.10", "TCP", 8001)], false),
            (
                &[("127.0.0.1", "TCP", 8001)],
                &[("0.0.0.0", "UDP", 8001)],
                true,
            ),
            (
                &[("0.0.0.0", "TCP", 8001)],
                &[("0.0.0.0", "UDP", 8001)],
                true,
            ),
        ];
        for (wanted, taken, fits) in cases {
            let mut bench =
                Bench::new("NodePorts", [node("m1")]).placed([with_ports("old", taken).node("m1")]);
            let got = bench.filter(with_ports("new", wanted));
            let words = "node(s) didn't have free ports for the requested pod ports";
            let want = if fits {
                Ok(())
            } else {
                unschedulable(&[words])
            };
            assert_eq!(got, [want], "{wanted:?} beside {taken:?}");
        }
    }

    #[test]
    fn a_pod_that_frees_the_port_helps() {
        let mut bench = Bench::new("NodePorts", []);
        let waiting = bench.read(with_ports("w", &[("", "TCP", 80)]));
        let same = bench.read(with_ports("s", &[("", "TCP", 80)]).node("a"));
        let other = bench.read(with_ports("o", &[("", "TCP", 81)]).node("a"));
        assert_eq!(
            bench.hint(&waiting, &Event::of_pod(Some(&same), None)),
            Hint::Queue
        );
        assert_eq!(
            bench.hint(&waiting, &Event::of_pod(Some(&other), None)),
            Hint::Skip
        );
    }
}
