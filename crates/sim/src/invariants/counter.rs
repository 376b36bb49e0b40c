//! A counter that clients read, add one to and write back on condition that
//! nobody wrote in between: it never goes back and never leaves out a number.

use super::{Invariant, View};
use crate::history::Step;

#[derive(Default)]
pub struct Counter {
    last: u64,
}

impl Invariant for Counter {
    fn name(&self) -> &'static str {
        "compare and swap"
    }

    fn step(&mut self, _: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            if change.place.kind != "core/configmaps" || change.place.name != "counter" {
                continue;
            }
            let Some(new) = &change.new else {
                return Err("the counter is gone".to_owned());
            };
            let count: u64 = new.text("/data/count").parse().unwrap_or(u64::MAX);
            let expected = if change.old.is_some() {
                self.last + 1
            } else {
                0
            };
            if count != expected {
                return Err(format!("the counter went from {} to {count}", self.last));
            }
            self.last = count;
        }
        Ok(())
    }
}
