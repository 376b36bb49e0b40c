//! At rest nothing is on its way out, nothing is in a namespace that is not there,
//! and nothing is owned by nobody who is there.

use super::{Invariant, View};
use std::collections::BTreeSet;

pub struct Leftovers;

impl Invariant for Leftovers {
    fn name(&self) -> &'static str {
        "nothing is left over"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let uids: BTreeSet<&str> = view
            .history
            .objects()
            .map(|(_, object)| object.uid())
            .collect();
        for (place, object) in view.history.objects() {
            if place.kind == "core/events" || place.kind == "allocations/nodeports" {
                continue;
            }
            if object.is_deleting() {
                return Err(format!("{place} is still on its way out"));
            }
            if !place.namespace.is_empty()
                && view
                    .history
                    .get("core/namespaces", "", &place.namespace)
                    .is_none()
            {
                return Err(format!("{place} has no namespace"));
            }
            for owner in object.items("/metadata/ownerReferences") {
                let uid = owner["uid"].as_str().unwrap_or_default();
                if !uids.contains(uid) {
                    return Err(format!("the owner {owner} of {place} is gone"));
                }
            }
        }
        Ok(())
    }
}
