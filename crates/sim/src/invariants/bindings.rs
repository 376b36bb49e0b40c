//! A pod is bound once and to one node, and not after it was told to go.

use super::{Invariant, View};
use crate::history::Step;

pub struct Bindings;

impl Invariant for Bindings {
    fn name(&self) -> &'static str {
        "one node for each pod"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        let pods = step
            .changes
            .iter()
            .filter(|change| change.place.kind == "core/pods");
        for change in pods {
            let (Some(old), Some(new)) = (&change.old, &change.new) else {
                continue;
            };
            if old.uid() != new.uid() {
                return Err(format!("{} became another pod in place", change.place));
            }
            let (before, after) = (old.text("/spec/nodeName"), new.text("/spec/nodeName"));
            if before == after {
                continue;
            }
            if !before.is_empty() {
                return Err(format!("{} went from {before} to {after:?}", change.place));
            }
            if old.is_deleting() {
                return Err(format!("{} was bound though it shall go", change.place));
            }
        }
        Ok(())
    }
}
