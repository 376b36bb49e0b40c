//! Nothing is made beyond what a quota that was measured allows, and what is made is
//! charged to it by whoever makes it; and at rest a quota says what is used.

use super::{Invariant, View, is_finished, milli_cpu};
use crate::history::{Change, History, Object, Place, Step};
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Instant;

#[derive(Default)]
pub struct Quotas {
    /// Since when a quota is known to limit what it limits.
    measured: BTreeMap<Place, Instant>,
    /// When what was not charged to any quota was made.
    uncharged: BTreeMap<Place, Instant>,
}

/// How long before it is made somebody may have found no quota, or a quota its measure.
const WINDOW: Duration = Duration::from_secs(60);

const QUOTAS: &str = "core/resourcequotas";
/// What quotas of the workload measure, and what of.
const MEASURED: [(&str, &str); 5] = [
    ("pods", "core/pods"),
    ("requests.cpu", "core/pods"),
    ("services", "core/services"),
    ("configmaps", "core/configmaps"),
    ("count/deployments.apps", "apps/deployments"),
];

impl Invariant for Quotas {
    fn name(&self) -> &'static str {
        "quotas"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            self.note(change, step);
        }
        let made = step.changes.iter().filter(|change| change.old.is_none());
        for change in made {
            let place = &change.place;
            let measured = MEASURED.iter().filter(|(_, kind)| *kind == place.kind);
            for (name, kind) in measured {
                self.check(view, name, kind, place)?;
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for (place, quota) in view.history.all(QUOTAS) {
            for (name, kind) in MEASURED {
                let pointer = format!("/spec/hard/{}", name.replace('/', "~1"));
                let Some(hard) = quantity(quota, &pointer) else {
                    continue;
                };
                let used = used(view.history, &place.namespace, name, kind, |_| true);
                let says = |part: &str| {
                    quantity(
                        quota,
                        &pointer.replace("/spec/hard", &format!("/status/{part}")),
                    )
                };
                if (says("hard"), says("used")) != (Some(hard), Some(used)) {
                    return Err(format!(
                        "{place} limits {name} to {hard} of which {used} are used, and says {}",
                        quota.at("/status")
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Quotas {
    fn note(&mut self, change: &Change, step: &Step) {
        let Place {
            kind, namespace, ..
        } = &*change.place;
        let place = (*change.place).clone();
        if change.new.is_none() {
            self.measured.remove(&place);
            self.uncharged.remove(&place);
        } else if kind == QUOTAS {
            let limits = |quota: &Object| quota.at("/status/hard").clone();
            if change.old.as_deref().map(limits) != change.new.as_deref().map(limits) {
                self.measured.insert(place, step.at);
            }
        } else if change.old.is_none() && MEASURED.iter().any(|(_, measured)| measured == kind) {
            let mut others = step.changes.iter().map(|other| &other.place);
            if !others.any(|other| other.kind == QUOTAS && other.namespace == *namespace) {
                self.uncharged.insert(place, step.at);
            }
        }
    }

    fn check(&self, view: &View<'_>, name: &str, kind: &str, made: &Place) -> Result<(), String> {
        for (place, quota) in view.history.all(QUOTAS) {
            let pointer = format!("/status/hard/{}", name.replace('/', "~1"));
            let Some(hard) = quantity(quota, &pointer) else {
                continue;
            };
            if place.namespace != made.namespace {
                continue;
            }
            if !self.may_go_uncharged(place, made) {
                return Err(format!("{made} was not charged to {place}"));
            }
            let counts = |object: &Place| !self.is_hidden(place, object);
            let used = used(view.history, &place.namespace, name, kind, counts);
            if used > hard {
                return Err(format!(
                    "with {made} {used} of {name} are used, and {place} allows {hard}"
                ));
            }
        }
        Ok(())
    }

    /// Whether something was charged, or need not be.
    fn may_go_uncharged(&self, quota: &Place, made: &Place) -> bool {
        let (measured, made) = (self.measured.get(quota), self.uncharged.get(made));
        made.is_none_or(|made| measured.is_none_or(|measured| *made < *measured + WINDOW))
    }

    /// Whether a quota may not know of something that was not charged to it.
    fn is_hidden(&self, quota: &Place, object: &Place) -> bool {
        match (self.measured.get(quota), self.uncharged.get(object)) {
            (Some(measured), Some(made)) => *made + WINDOW > *measured,
            _ => false,
        }
    }
}

/// A number, or thousandths of cores.
fn quantity(quota: &Object, pointer: &str) -> Option<i64> {
    let text = quota.at(pointer).as_str()?;
    match text.strip_suffix('m') {
        Some(milli) => milli.parse().ok(),
        None if pointer.ends_with("cpu") => text.parse::<i64>().ok().map(|cores| cores * 1000),
        None => text.parse().ok(),
    }
}

fn used(
    history: &History,
    namespace: &str,
    name: &str,
    kind: &str,
    counts: impl Fn(&Place) -> bool,
) -> i64 {
    let objects = history.all(kind);
    // Who is late to go is not counted any more.
    let is_over = |object: &Object| is_finished(object) || object.is_deleting();
    let counted = objects.filter(|(place, object)| {
        place.namespace == namespace && counts(place) && !(kind == "core/pods" && is_over(object))
    });
    let amounts = counted.map(|(_, object)| match name {
        "requests.cpu" => milli_cpu(object),
        _ => 1,
    });
    amounts.sum()
}
