//! What an object is made as, it stays: uid, name and time of creation; a time of
//! deletion comes and does not go again; and no uid is given twice.

use super::{Invariant, View};
use crate::history::Step;

pub struct Identity;

impl Invariant for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            let (Some(old), Some(new)) = (&change.old, &change.new) else {
                continue;
            };
            for field in [
                "/metadata/uid",
                "/metadata/name",
                "/metadata/creationTimestamp",
            ] {
                if old.text(field) != new.text(field) {
                    return Err(format!(
                        "{field} of {} went from {:?} to {:?}",
                        change.place,
                        old.text(field),
                        new.text(field)
                    ));
                }
            }
            if old.is_deleting() && !new.is_deleting() {
                return Err(format!("{} shall not go any more", change.place));
            }
        }
        Ok(())
    }
}
