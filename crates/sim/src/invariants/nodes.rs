//! At rest every machine whose kubelet runs is a node that is ready and takes pods.

use super::{Invariant, View};

pub struct Nodes;

impl Invariant for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for number in 0..view.scenario.nodes {
            let name = format!("node-{number}");
            let Some(node) = view.history.get("core/nodes", "", &name) else {
                return Err(format!("{name} is not registered"));
            };
            if !node.has_condition("Ready") {
                return Err(format!("{name} is not ready"));
            }
            if let Some(taint) = node.items("/spec/taints").first() {
                return Err(format!("{name} is well and keeps {taint}"));
            }
        }
        Ok(())
    }
}
