//! What an object is made as, it stays: uid, name and time of creation; a time of
//! deletion comes and does not go again; and no uid is given twice.

use super::{Invariant, View};
use crate::history::Step;
use std::collections::BTreeSet;

#[derive(Default)]
pub struct Identity {
    given: BTreeSet<String>,
}

impl Invariant for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            let Some(new) = &change.new else { continue };
            let Some(old) = &change.old else {
                let uid = new.uid().to_owned();
                if !uid.is_empty() && !self.given.insert(uid) {
                    return Err(format!(
                        "{} has uid {}, which was given before",
                        change.place,
                        new.uid()
                    ));
                }
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
