//! At rest a ReplicaSet or a ReplicationController has exactly the pods it declares,
//! and none that it does not select.

use super::{Invariant, View, is_finished};

pub struct ReplicaSets;

/// The kinds that keep a number of pods, and where their selectors are.
const KINDS: [(&str, &str); 2] = [
    ("apps/replicasets", "/spec/selector/matchLabels"),
    ("core/replicationcontrollers", "/spec/selector"),
];

impl Invariant for ReplicaSets {
    fn name(&self) -> &'static str {
        "replica sets"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        KINDS
            .iter()
            .try_for_each(|(kind, selector)| check(view, kind, selector))
    }
}

fn check(view: &View<'_>, kind: &str, selector: &str) -> Result<(), String> {
    for (place, set) in view.history.all(kind) {
        let pods: Vec<_> = view
            .history
            .all("core/pods")
            .filter(|(_, pod)| pod.controller_uid() == set.uid() && !is_finished(pod))
            .collect();
        let wanted = set.number("/spec/replicas");
        if pods.len() as i64 != wanted {
            return Err(format!(
                "{place} wants {wanted} pods and has {}",
                pods.len()
            ));
        }
        let mut foreign = pods
            .iter()
            .filter(|(_, pod)| !pod.has_labels(set.at(selector)));
        if let Some((pod, _)) = foreign.next() {
            return Err(format!("{place} keeps {pod}, which it does not select"));
        }
    }
    Ok(())
}
