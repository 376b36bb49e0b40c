//! Nothing goes before everything was done that has to be done first, and what is
//! on its way out is given nothing more to wait for. Whoever takes the last
//! finalizer away has the object go with the same commit; so it is asked who wrote
//! to it.

use super::{Invariant, View};
use crate::history::{Change, Object, Place, Step};
use crate::request::Verb;
use crate::workload::GROUP;

pub struct Finalizers;

const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
const NAMESPACES: &str = "system:serviceaccount:kube-system:namespace-controller";
/// Those who take away what they want, whoseever it is.
const USERS: [&str; 2] = ["user", "admin"];

impl Invariant for Finalizers {
    fn name(&self) -> &'static str {
        "finalizers"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        step.changes
            .iter()
            .try_for_each(|change| check(view, change))
    }
}

fn check(view: &View<'_>, change: &Change) -> Result<(), String> {
    let Some(old) = &change.old else {
        return Ok(());
    };
    let left = |name: &&str| {
        let new = change.new.as_ref();
        new.is_some_and(|new| waits_for(new).any(|left| left == *name))
    };
    for name in waits_for(old).filter(|name| !left(name)) {
        let place = &change.place;
        if change.new.is_none() && !old.is_deleting() {
            return Err(format!("{place} went though it was to wait for {name}"));
        }
        if !is_done(view, place, name) {
            return Err(format!(
                "{name} of {place} went, and its keeper never wrote"
            ));
        }
    }
    let Some(new) = &change.new else {
        return Ok(());
    };
    let mut added = new.finalizers().filter(|name| {
        let is_new = old.finalizers().all(|known| known != *name);
        is_new && !(keeper(name) == Some(COLLECTOR) && is_asked_again(view, &change.place))
    });
    match added.next().filter(|_| old.is_deleting()) {
        Some(name) => Err(format!(
            "{} is on its way out and shall wait for {name}",
            change.place
        )),
        None => Ok(()),
    }
}

/// Namespaces have a list of their own besides.
fn waits_for(object: &Object) -> impl Iterator<Item = &str> {
    let own = object.items("/spec/finalizers").iter();
    object
        .finalizers()
        .chain(own.filter_map(|name| name.as_str()))
}

/// Whether somebody wrote to the object who may take this finalizer away.
fn is_done(view: &View<'_>, place: &Place, finalizer: &str) -> bool {
    let Some(keeper) = keeper(finalizer) else {
        return true;
    };
    if keeper == COLLECTOR && is_asked_again(view, place) {
        return true;
    }
    let asks = view.asks.of(place);
    let mut writers = asks.iter().filter(|ask| ask.verb == Verb::Write);
    writers.any(|ask| ask.who == keeper || USERS.contains(&ask.who.as_str()))
}

/// Who does what a finalizer stands for; none for the server's own and what users
/// hold.
fn keeper(finalizer: &str) -> Option<&'static str> {
    match finalizer {
        "foregroundDeletion" | "orphan" => Some(COLLECTOR),
        "kubernetes" => Some(NAMESPACES),
        _ => None,
    }
}

/// Who deletes again may want the dependents treated otherwise. The first to delete may have been
/// the server, whose definitions take their objects along.
fn is_asked_again(view: &View<'_>, place: &Place) -> bool {
    let first = u64::from(!place.kind.starts_with(GROUP));
    let asks = view.asks.of(place);
    let deletions = asks.iter().filter(|ask| ask.verb == Verb::Delete);
    deletions.map(|ask| ask.times).sum::<u64>() > first
}
