//! The scheduler gives no node more than it has. When it may have lost an answer
//! or an instance of itself, it may for a moment think that there is more room
//! than there is; the kubelet then refuses the pod, and that has to be the end.

use super::{Invariant, View, is_finished, milli_cpu};
use crate::history::Step;
use crate::node::MILLI_CPU;
use std::collections::BTreeMap;

pub struct Capacity;

impl Invariant for Capacity {
    fn name(&self) -> &'static str {
        "no node is overfull"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        if view.scenario.leaves_in_doubt() {
            return Ok(());
        }
        for change in &step.changes {
            let Some(pod) = &change.new else { continue };
            let node = pod.text("/spec/nodeName");
            if change.place.kind == "core/pods" && !node.is_empty() {
                check(view, node)?;
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let nodes = view.history.all("core/nodes");
        nodes.map(|(place, _)| check(view, &place.name)).collect()
    }
}

fn check(view: &View<'_>, node: &str) -> Result<(), String> {
    let mut asked = BTreeMap::new();
    for (place, pod) in view.history.all("core/pods") {
        if pod.text("/spec/nodeName") == node && !is_finished(pod) {
            asked.insert(place.name.clone(), milli_cpu(pod));
        }
    }
    let sum: i64 = asked.values().sum();
    if sum > MILLI_CPU {
        return Err(format!(
            "{node} has {MILLI_CPU}m and shall give {sum}m: {asked:?}"
        ));
    }
    Ok(())
}
