//! At rest every kind that users defined is served, and no object is there whose
//! kind nobody defines.

use super::{Invariant, View};

pub struct Definitions;

const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";

impl Invariant for Definitions {
    fn name(&self) -> &'static str {
        "custom kinds"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for (place, definition) in view.history.all(DEFINITIONS) {
            for condition in ["NamesAccepted", "Established"] {
                if !definition.has_condition(condition) {
                    return Err(format!("{place} is not {condition}"));
                }
            }
        }
        let custom = view.history.all("sim.example/widgets");
        let is_defined = view
            .history
            .get(DEFINITIONS, "", "widgets.sim.example")
            .is_some();
        match custom.into_iter().next().filter(|_| !is_defined) {
            Some((place, _)) => Err(format!("{place} is there and its kind is not")),
            None => Ok(()),
        }
    }
}
