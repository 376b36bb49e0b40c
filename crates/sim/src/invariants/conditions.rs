//! Each type of condition is there once, and a running pod has an address of its
//! node that no other running pod of the node has.

use super::{Invariant, View, is_finished};
use crate::history::Step;
use std::collections::{BTreeMap, BTreeSet};

pub struct Conditions;

impl Invariant for Conditions {
    fn name(&self) -> &'static str {
        "sane status"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            let Some(object) = &change.new else { continue };
            let mut seen = BTreeSet::new();
            for condition in object.items("/status/conditions") {
                let kind = condition["type"].as_str().unwrap_or_default();
                if !seen.insert(kind) {
                    return Err(format!("{} has condition {kind} twice", change.place));
                }
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let mut owners = BTreeMap::new();
        for (place, pod) in view.history.all("core/pods") {
            let ip = pod.text("/status/podIP");
            if is_finished(pod) || ip.is_empty() {
                continue;
            }
            if let Some(other) = owners.insert(ip.to_owned(), place.name.clone()) {
                return Err(format!("{} and {other} both have {ip}", place.name));
            }
        }
        Ok(())
    }
}
