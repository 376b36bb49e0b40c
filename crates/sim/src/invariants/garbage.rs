//! What only the garbage collector wanted to go was garbage: it had owners, and
//! none of them is there but such as wait for it to go first.

use super::{Invariant, View};
use crate::history::{Change, Object, Step};
use crate::request::Verb;

pub struct Garbage;

const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

impl Invariant for Garbage {
    fn name(&self) -> &'static str {
        "only garbage is collected"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            let Some(old) = &change.old else { continue };
            if is_collected(view, change, old)
                && let Some(why) = keeper(view, old)
            {
                return Err(format!("{} was collected: {why}", change.place));
            }
        }
        Ok(())
    }
}

/// Whether it begins to go, or goes, and nobody else ever wanted that.
fn is_collected(view: &View<'_>, change: &Change, old: &Object) -> bool {
    let goes = change.new.as_ref().is_none_or(|new| new.is_deleting());
    if old.is_deleting() || !goes || !is_defined(view, change) {
        return false;
    }
    let asks = view.asks.to_go(&change.place);
    let mut others = asks.iter();
    !asks.is_empty() && others.all(|ask| ask.verb == Verb::Delete && ask.who == COLLECTOR)
}

/// Whether its kind stays: with a custom kind its objects go, by the server itself.
fn is_defined(view: &View<'_>, change: &Change) -> bool {
    let Some((group, plural)) = change.place.kind.split_once('/') else {
        return true;
    };
    let definitions = "apiextensions.k8s.io/customresourcedefinitions";
    let definition = view
        .history
        .get(definitions, "", &format!("{plural}.{group}"));
    group != "sim.example" || definition.is_some_and(|definition| !definition.is_deleting())
}

/// Why an object is no garbage.
fn keeper(view: &View<'_>, object: &Object) -> Option<String> {
    let owners = object.items("/metadata/ownerReferences");
    if owners.is_empty() {
        return Some("nobody owned it".to_owned());
    }
    owners.iter().find_map(|owner| {
        let uid = owner["uid"].as_str().unwrap_or_default();
        let owner = view.history.by_uid(uid)?;
        let waits =
            owner.is_deleting() && owner.finalizers().any(|name| name == "foregroundDeletion");
        (!waits).then(|| format!("its owner {uid} is there"))
    })
}
