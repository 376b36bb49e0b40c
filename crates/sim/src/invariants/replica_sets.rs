//! At rest a ReplicaSet has exactly the pods it declares, and none that it does
//! not select.

use super::{Invariant, View, is_finished};

pub struct ReplicaSets;

impl Invariant for ReplicaSets {
    fn name(&self) -> &'static str {
        "replica sets"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for (place, set) in view.history.all("apps/replicasets") {
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
            let labels = set.at("/spec/selector/matchLabels").as_object().cloned();
            for (pod_place, pod) in pods {
                let mut labels = labels.iter().flatten();
                if !labels.all(|(key, value)| pod.label(key) == value.as_str()) {
                    return Err(format!(
                        "{place} keeps {pod_place}, which it does not select"
                    ));
                }
            }
        }
        Ok(())
    }
}
