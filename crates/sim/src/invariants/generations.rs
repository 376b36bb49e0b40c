//! A generation counts up by one when what is declared changes and only then; what
//! was observed never lies ahead of it, never goes back, and at rest has caught up.

use super::{Invariant, View};
use crate::history::Step;

pub struct Generations;

const COUNTED: &[&str] = &["apps/deployments", "apps/replicasets"];

impl Invariant for Generations {
    fn name(&self) -> &'static str {
        "generations"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        let counted = step
            .changes
            .iter()
            .filter(|change| COUNTED.contains(&change.place.kind.as_str()));
        for change in counted {
            let Some(new) = &change.new else { continue };
            let generation = new.number("/metadata/generation");
            let observed = new.number("/status/observedGeneration");
            if observed > generation {
                return Err(format!(
                    "{} of {generation} was observed as {observed}",
                    change.place
                ));
            }
            let Some(old) = &change.old else { continue };
            let before = old.number("/metadata/generation");
            let is_changed =
                old.at("/spec") != new.at("/spec") || (!old.is_deleting() && new.is_deleting());
            if generation != before + i64::from(is_changed) {
                return Err(format!(
                    "{} went from generation {before} to {generation}",
                    change.place
                ));
            }
            if observed < old.number("/status/observedGeneration") {
                return Err(format!("{} was observed backwards", change.place));
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for (place, object) in COUNTED.iter().flat_map(|kind| view.history.all(kind)) {
            if object.number("/status/observedGeneration") != object.number("/metadata/generation")
            {
                return Err(format!("{place} is not observed"));
            }
        }
        Ok(())
    }
}
