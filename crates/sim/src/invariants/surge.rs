//! While a deployment rolls, its sets together never grow beyond what it allows,
//! and no old set shrinks below what has to stay available, unless the deployment
//! itself shall be smaller: held against what the controller was told, as it cannot
//! know more.

use super::{Invariant, View, fence};
use crate::history::{Change, Object, Place, Step};
use serde_json::Value;
use std::sync::Arc;

pub struct Surge;

const SETS: &str = "apps/replicasets";

impl Invariant for Surge {
    fn name(&self) -> &'static str {
        "surge and availability"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        let sets = step
            .changes
            .iter()
            .filter(|change| change.place.kind == SETS);
        for change in sets {
            let Some(new) = &change.new else { continue };
            let before = change
                .old
                .as_ref()
                .map_or(0, |old| old.number("/spec/replicas"));
            let after = new.number("/spec/replicas");
            let versions = versions(view, change, new);
            if versions.is_empty() {
                continue;
            }
            if after > before {
                check_surge(view, change, new, &versions)?;
            }
            if after < before && !is_scaled(change) {
                check_available(view, change, new, before, &versions)?;
            }
        }
        Ok(())
    }
}

/// Whether a set shrinks because its deployment shall be smaller: then each set gives its part,
/// whatever of it is available.
fn is_scaled(change: &Change) -> bool {
    let noted = |set: &Object| {
        let note = set.at("/metadata/annotations/deployment.kubernetes.io~1desired-replicas");
        note.as_str().and_then(|number| number.parse::<i64>().ok())
    };
    let before = change.old.as_ref().and_then(|old| noted(old));
    let after = change.new.as_ref().and_then(|new| noted(new));
    before > after
}

/// The versions of a set's deployment on which the controller may act.
fn versions(view: &View<'_>, change: &Change, set: &Object) -> Vec<Arc<Value>> {
    let Some(owner) = set
        .controller()
        .filter(|owner| owner["kind"] == "Deployment")
    else {
        return Vec::new();
    };
    let name = owner["name"].as_str().unwrap_or_default();
    let place = Place::new("apps/deployments", &change.place.namespace, name);
    let mut versions = view.knowledge.of(&place, view.now);
    versions.retain(|version| version["metadata"]["uid"] == owner["uid"]);
    versions
}

fn siblings<'a>(
    view: &'a View<'_>,
    set: &'a Object,
) -> impl Iterator<Item = (&'a Place, &'a Arc<Object>)> {
    let uid = set.controller_uid();
    view.history
        .all(SETS)
        .filter(move |(_, other)| other.controller_uid() == uid)
}

fn check_surge(
    view: &View<'_>,
    change: &Change,
    set: &Object,
    versions: &[Arc<Value>],
) -> Result<(), String> {
    let allowed = versions
        .iter()
        .map(|version| fence(version).0)
        .max()
        .unwrap_or(i64::MAX);
    let own = set.number("/spec/replicas");
    let others = siblings(view, set).filter(|(place, _)| **place != *change.place);
    let sum: i64 = own
        + others
            .map(|(place, other)| known_size(view, place, other))
            .sum::<i64>();
    // A deployment that was scaled down has more than it wants, and still grows
    // the sets that its new size gives room to.
    if sum > allowed && own > allowed {
        return Err(format!("{} grew to {own} of {allowed}", change.place));
    }
    let shrunk = versions.iter().any(|version| {
        let replicas = version["spec"]["replicas"].as_i64().unwrap_or(1);
        versions
            .iter()
            .any(|other| other["spec"]["replicas"].as_i64().unwrap_or(1) > replicas)
    });
    if sum > allowed && !shrunk {
        let sizes: Vec<String> = siblings(view, set)
            .map(|(place, other)| format!("{}={}", place.name, other.number("/spec/replicas")))
            .collect();
        return Err(format!(
            "{} grew, and all together are {sum} of {allowed}: {}",
            change.place,
            sizes.join(" ")
        ));
    }
    Ok(())
}

/// The size of a set that its controller counts with at least: nothing if it may not
/// know of the set.
fn known_size(view: &View<'_>, place: &Place, set: &Object) -> i64 {
    if view.knowledge.may_miss(place, view.now) {
        return 0;
    }
    let told = view.knowledge.of(place, view.now);
    let told = told
        .iter()
        .filter(|told| told["metadata"]["uid"] == set.uid());
    let told = told.map(|told| told["spec"]["replicas"].as_i64().unwrap_or(1));
    told.min()
        .map_or(0, |size| size.min(set.number("/spec/replicas")))
}

fn check_available(
    view: &View<'_>,
    change: &Change,
    set: &Object,
    before: i64,
    versions: &[Arc<Value>],
) -> Result<(), String> {
    let required = versions
        .iter()
        .map(|version| fence(version).1)
        .min()
        .unwrap_or(0);
    let (mut left, mut had) = (0, 0);
    let mut parts = Vec::new();
    for (place, other) in siblings(view, set) {
        let told = view.knowledge.of(place, view.now);
        let available = told
            .iter()
            .map(|told| told["status"]["availableReplicas"].as_i64().unwrap_or(0));
        let most = available.clone().max().unwrap_or(0);
        let least = match view.knowledge.may_miss(place, view.now) {
            true => 0,
            false => available.min().unwrap_or(0),
        };
        let size = other.number("/spec/replicas");
        parts.push(format!(
            "{} {size}, {least} to {most} available",
            place.name
        ));
        left += most.min(size);
        had += least.min(if *place == *change.place {
            before
        } else {
            size
        });
    }
    // Pods that are not available may go: they leave as many available as before.
    if left < required && left < had {
        return Err(format!(
            "{} shrank from {before} to {}: {left} of {required} stay available, {had} were: {}",
            change.place,
            set.number("/spec/replicas"),
            parts.join("; ")
        ));
    }
    Ok(())
}
