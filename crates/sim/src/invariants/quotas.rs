//! Nothing is made beyond what a quota that was measured allows; and at rest a
//! quota says what is used.

use super::{Invariant, View, is_finished, milli_cpu};
use crate::history::{History, Object, Place, Step};

pub struct Quotas;

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
        let made = step.changes.iter().filter(|change| change.old.is_none());
        for change in made {
            let place = &change.place;
            let measured = MEASURED.iter().filter(|(_, kind)| *kind == place.kind);
            for (name, kind) in measured {
                check(view, name, kind, place)?;
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
                let used = used(view.history, &place.namespace, name, kind);
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

fn check(view: &View<'_>, name: &str, kind: &str, made: &Place) -> Result<(), String> {
    for (place, quota) in view.history.all(QUOTAS) {
        let pointer = format!("/status/hard/{}", name.replace('/', "~1"));
        let Some(hard) = quantity(quota, &pointer) else {
            continue;
        };
        let used = used(view.history, &place.namespace, name, kind);
        if place.namespace == made.namespace && used > hard {
            return Err(format!(
                "with {made} {used} of {name} are used, and {place} allows {hard}"
            ));
        }
    }
    Ok(())
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

fn used(history: &History, namespace: &str, name: &str, kind: &str) -> i64 {
    let objects = history.all(kind);
    // Who is late to go is not counted any more.
    let is_over = |object: &Object| is_finished(object) || object.is_deleting();
    let counted = objects.filter(|(place, object)| {
        place.namespace == namespace && !(kind == "core/pods" && is_over(object))
    });
    let amounts = counted.map(|(_, object)| match name {
        "requests.cpu" => milli_cpu(object),
        _ => 1,
    });
    amounts.sum()
}
