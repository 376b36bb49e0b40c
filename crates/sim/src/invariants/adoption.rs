//! An object has at most one controller, and does not go from one to another
//! without being nobody's in between.

use super::{Invariant, View};
use crate::history::Step;

pub struct Adoption;

impl Invariant for Adoption {
    fn name(&self) -> &'static str {
        "at most one controller"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            let Some(new) = &change.new else { continue };
            let owners = new.items("/metadata/ownerReferences");
            let controllers = owners.iter().filter(|owner| owner["controller"] == true);
            if controllers.count() > 1 {
                return Err(format!("{} has several controllers", change.place));
            }
            let Some(old) = &change.old else { continue };
            let (before, after) = (old.controller_uid(), new.controller_uid());
            if !before.is_empty() && !after.is_empty() && before != after && old.uid() == new.uid()
            {
                return Err(format!("{} went from {before} to {after}", change.place));
            }
        }
        Ok(())
    }
}
