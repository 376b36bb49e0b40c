//! A deployment that is scaled while several templates have pods spreads the difference over them
//! in proportion, so that a stuck rollout risks no more than before. Follows scale in
//! pkg/controller/deployment/sync.go.

use super::plan::Draft;
use super::sets;
use std::cmp::Ordering;
use typed::Typed;
use typed::api::apps::v1::{Deployment, ReplicaSet};

impl Draft<'_> {
    /// Brings the sets to the size that the deployment has now.
    pub(super) fn scale(&mut self) {
        let wanted = sets::wanted(&self.deployment);
        if let Some(name) = self.active_or_latest() {
            // A set that has the size already may still note another one, and as long as it does
            // the deployment counts as scaled and its rollout waits. (Upstream waits for ever.)
            self.resize(&name, wanted);
        } else if self.is_saturated() {
            let old: Vec<String> = self.old.iter().map(|set| set.name().to_owned()).collect();
            for name in &old {
                self.resize_if_needed(name, 0);
            }
        } else if sets::is_rolling(&self.deployment) {
            for (name, size) in self.proportions() {
                self.resize(&name, size);
            }
        }
    }

    /// Whether scaling has an answer. Several sets of a deployment that replaces all pods at once
    /// have no proportions: the replacement goes on and ends in the new size. (Upstream waits there
    /// for somebody who gives the deployment its old size again.)
    pub(super) fn can_scale(&self) -> bool {
        sets::is_rolling(&self.deployment)
            || self.active_or_latest().is_some()
            || self.is_saturated()
    }

    /// The only set with pods; if none has any, the newest.
    fn active_or_latest(&self) -> Option<String> {
        let active: Vec<&ReplicaSet> = self.all().filter(|set| sets::replicas(set) > 0).collect();
        let set = match active.as_slice() {
            [] => self.new.as_ref().or(self.old.last()),
            [only] => Some(*only),
            _ => None,
        };
        set.map(|set| set.name().to_owned())
    }

    fn is_saturated(&self) -> bool {
        let wanted = sets::wanted(&self.deployment);
        self.new.as_ref().is_some_and(|set| {
            sets::annotated(set, sets::DESIRED_REPLICAS) == Some(wanted)
                && sets::replicas(set) == wanted
                && sets::available(set) == wanted
        })
    }

    /// The new size of every set with pods.
    fn proportions(&self) -> Vec<(String, i32)> {
        let deployment = &self.deployment;
        let mut active: Vec<&ReplicaSet> =
            self.all().filter(|set| sets::replicas(set) > 0).collect();
        let present: i32 = active.iter().map(|set| sets::replicas(set)).sum();
        let allowed = match sets::wanted(deployment) {
            0 => 0,
            wanted => wanted.saturating_add(sets::max_surge(deployment)),
        };
        let to_add = allowed - present;
        // The bigger first; of equals, growth goes to the newer and shrinking to the older.
        let age = |one: &ReplicaSet, two: &ReplicaSet| match to_add.cmp(&0) {
            Ordering::Greater => sets::by_age(two, one),
            _ => sets::by_age(one, two),
        };
        if to_add != 0 {
            active.sort_by(|one, two| {
                sets::replicas(two)
                    .cmp(&sets::replicas(one))
                    .then_with(|| age(one, two))
            });
        }
        let mut added = 0;
        let mut sizes = Vec::with_capacity(active.len());
        for set in active {
            let part = proportion(set, deployment, to_add, added);
            added += part;
            sizes.push((set.name().to_owned(), sets::replicas(set) + part));
        }
        if let Some((_, size)) = sizes.first_mut() {
            *size = (*size + to_add - added).max(0);
        }
        sizes
    }
}

/// A set's part of what is to be added, never more than is left of it.
fn proportion(set: &ReplicaSet, deployment: &Deployment, to_add: i32, added: i32) -> i32 {
    if sets::replicas(set) == 0 || to_add == added {
        return 0;
    }
    let (part, left) = (fraction(set, deployment), to_add - added);
    if to_add > 0 {
        part.min(left)
    } else {
        part.max(left)
    }
}

/// How much the set changes if it keeps its part of the whole.
fn fraction(set: &ReplicaSet, deployment: &Deployment) -> i32 {
    let (size, wanted) = (sets::replicas(set), sets::wanted(deployment));
    if wanted == 0 {
        return -size;
    }
    let most = f64::from(wanted) + f64::from(sets::max_surge(deployment));
    let noted = sets::annotated(set, sets::MAX_REPLICAS).filter(|noted| *noted != 0);
    let before = noted.or_else(|| Some(deployment.status.as_ref()?.replicas.unwrap_or(0)));
    match before.filter(|before| *before != 0) {
        None => 0,
        // Halves are rounded away from zero, and the result fits as its factors do.
        Some(before) => (f64::from(size) * most / f64::from(before)).round() as i32 - size,
    }
}
