//! Evictions keep within the budgets of disruptions: who lets a pod go takes it
//! from its budget, nobody takes more than there is, and the controller allows no
//! more than what it was told of can bear. At rest a budget says what is true.

use super::{Invariant, View, is_finished};
use crate::history::{Change, Object, Place, Step};
use crate::request::Verb;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use stdx::Instant;

#[derive(Default)]
pub struct Budgets {
    /// The pods that were taken from a budget; no pod has another's name.
    spent: BTreeSet<(String, String)>,
    /// Since when a budget or a pod has had its selector or labels.
    since: BTreeMap<Place, Instant>,
}

const BUDGETS: &str = "policy/poddisruptionbudgets";
const PODS: &str = "core/pods";

impl Invariant for Budgets {
    fn name(&self) -> &'static str {
        "disruption budgets"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        for change in &step.changes {
            self.date(change, step.at);
            match change.place.kind.as_str() {
                BUDGETS => self.check_budget(view, change)?,
                PODS => self.check_eviction(view, change)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let mut budgets = view.history.all(BUDGETS);
        budgets.try_for_each(|(place, budget)| check_rest(view, place, budget))?;
        let mut pods = view.history.all(PODS);
        pods.try_for_each(|(place, pod)| check_condition(place, pod))
    }
}

/// An eviction that came to nothing is forgotten after two minutes; until then there is
/// something left to write. Pods that have ended keep the mark.
fn check_condition(place: &Place, pod: &Object) -> Result<(), String> {
    let is_said = |condition: &&Value| {
        condition["type"] == "DisruptionTarget" && condition["status"] == "True"
    };
    match pod.items("/status/conditions").iter().find(is_said) {
        Some(mark) if !pod.is_deleting() && !is_finished(pod) => {
            Err(format!("{place} is still said to be disrupted: {mark}"))
        }
        _ => Ok(()),
    }
}

impl Budgets {
    /// Notes when it came to be that a budget covers what it covers.
    fn date(&mut self, change: &Change, at: Instant) {
        let Some(new) = &change.new else { return };
        if !matches!(change.place.kind.as_str(), BUDGETS | PODS) {
            return;
        }
        let is_same = change.old.as_ref().is_some_and(|old| {
            ["/metadata/labels", "/spec/selector"]
                .iter()
                .all(|part| old.at(part) == new.at(part))
        });
        if !is_same {
            self.since.insert((*change.place).clone(), at);
        }
    }

    fn check_budget(&mut self, view: &View<'_>, change: &Change) -> Result<(), String> {
        let Some(new) = &change.new else {
            return Ok(());
        };
        let allowed = new.number("/status/disruptionsAllowed");
        if allowed < 0 {
            return Err(format!("{} allows {allowed}", change.place));
        }
        let Some(old) = &change.old else {
            return Ok(());
        };
        let before = disrupted(old);
        let mut added = disrupted(new);
        added.retain(|name| !before.contains(name));
        if added.is_empty() {
            return check_allowance(view, &change.place, old, new);
        }
        let had = old.number("/status/disruptionsAllowed");
        if allowed + added.len() as i64 != had {
            return Err(format!(
                "{} allowed {had}, lets {added:?} go and allows {allowed}",
                change.place
            ));
        }
        for name in added {
            let pod = (change.place.namespace.clone(), name);
            self.spent.insert(pod);
        }
        Ok(())
    }

    /// A ready pod that only was evicted was taken from its budget.
    fn check_eviction(&self, view: &View<'_>, change: &Change) -> Result<(), String> {
        let Some(old) = change.old.as_ref().filter(|old| !old.is_deleting()) else {
            return Ok(());
        };
        let goes = change.new.as_ref().is_none_or(|new| new.is_deleting());
        let asks = view.asks.to_go(&change.place);
        let is_evicted = !asks.is_empty() && asks.iter().all(|ask| ask.verb == Verb::Evict);
        if !goes || !is_evicted || is_finished(old) || !old.has_condition("Ready") {
            return Ok(());
        }
        let Place {
            namespace, name, ..
        } = &*change.place;
        if self.spent.contains(&(namespace.clone(), name.clone())) {
            return Ok(());
        }
        let mut budgets = view
            .history
            .all(BUDGETS)
            .filter(|(place, budget)| place.namespace == *namespace && covers(budget, old));
        let asked = asks.iter().map(|ask| ask.at).min();
        let was = |place: &Place| self.since.get(place).copied() < asked;
        match budgets.find(|(budget, _)| was(budget) && was(&change.place)) {
            Some((budget, _)) => Err(format!(
                "{} was evicted and not taken from {budget}",
                change.place
            )),
            None => Ok(()),
        }
    }
}

fn covers(budget: &Object, pod: &Object) -> bool {
    pod.has_labels(budget.at("/spec/selector/matchLabels"))
}

fn disrupted(budget: &Object) -> Vec<String> {
    let pods = budget.at("/status/disruptedPods").as_object();
    pods.into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// What the controller allows is no more than the pods that it may have taken for
/// healthy, less those that must be.
fn check_allowance(
    view: &View<'_>,
    place: &Place,
    old: &Object,
    new: &Object,
) -> Result<(), String> {
    let allowed = new.number("/status/disruptionsAllowed");
    if old.at("/status") == new.at("/status") || allowed == 0 {
        return Ok(());
    }
    let pods = view.knowledge.places(PODS, &place.namespace);
    let is_healthy = |pod: &Value| {
        let labels = new.at("/spec/selector/matchLabels").as_object();
        let mut labels = labels.into_iter().flatten();
        let conditions = pod["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        pod["metadata"]["deletionTimestamp"].is_null()
            && labels.all(|(key, value)| pod["metadata"]["labels"][key] == *value)
            && conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let may_be_healthy = |pod: &&Place| {
        let told = view.knowledge.of(pod, view.now);
        told.iter().any(|pod| is_healthy(pod))
    };
    let healthy = pods.filter(may_be_healthy).count() as i64;
    let desired = match new.at("/spec/minAvailable").as_i64() {
        Some(least) => least,
        None => new.number("/status/desiredHealthy"),
    };
    if allowed > (healthy - desired).max(0) {
        return Err(format!(
            "{place} allows {allowed}, but of {healthy} pods that were well at most {desired} must be"
        ));
    }
    Ok(())
}

fn check_rest(view: &View<'_>, place: &Place, budget: &Object) -> Result<(), String> {
    let covered = view
        .history
        .all(PODS)
        .filter(|(pod_place, pod)| pod_place.namespace == place.namespace && covers(budget, pod));
    let healthy = covered
        .filter(|(_, pod)| pod.has_condition("Ready") && !pod.is_deleting())
        .count() as i64;
    let said = budget.number("/status/currentHealthy");
    if said != healthy {
        return Err(format!(
            "{place} says that {said} are well, and {healthy} are"
        ));
    }
    let desired = budget.number("/status/desiredHealthy");
    let allowed = budget.number("/status/disruptionsAllowed");
    let left = match budget.number("/status/expectedPods") {
        0 => 0,
        _ => (healthy - desired).max(0),
    };
    if allowed != left {
        return Err(format!(
            "{place} allows {allowed}, and {healthy} of {desired} are well"
        ));
    }
    Ok(())
}
