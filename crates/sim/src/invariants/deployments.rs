//! Of one deployment no two ReplicaSets have the same template; and at rest it
//! has exactly the pods it declares, of the newest template, all available, and
//! its status says so.

use super::{Invariant, View, is_finished};
use crate::history::{Object, Place, Step};
use serde_json::Value;
use std::sync::Arc;

pub struct Deployments;

const SETS: &str = "apps/replicasets";

impl Invariant for Deployments {
    fn name(&self) -> &'static str {
        "deployments"
    }

    fn step(&mut self, view: &View<'_>, step: &Step) -> Result<(), String> {
        if view.scenario.orphaning {
            // A set that is adopted may be like one that was made meanwhile.
            return Ok(());
        }
        for change in step
            .changes
            .iter()
            .filter(|change| change.place.kind == SETS)
        {
            let Some(new) = change.new.as_ref().filter(|_| change.old.is_none()) else {
                continue;
            };
            for (place, other) in view.history.all(SETS) {
                if *place != *change.place
                    && !new.controller_uid().is_empty()
                    && other.controller_uid() == new.controller_uid()
                    && template(other) == template(new)
                {
                    return Err(format!(
                        "{} and {place} have the same template",
                        change.place
                    ));
                }
            }
        }
        Ok(())
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let deployments = view.history.all("apps/deployments");
        deployments
            .map(|(place, deployment)| check(view, place, deployment))
            .collect()
    }
}

fn check(view: &View<'_>, place: &Place, deployment: &Object) -> Result<(), String> {
    let wanted = deployment.number("/spec/replicas");
    let sets: Vec<(&Place, &Arc<Object>)> = view
        .history
        .all(SETS)
        .filter(|(_, set)| set.controller_uid() == deployment.uid())
        .collect();
    let newest: Vec<_> = sets
        .iter()
        .filter(|(_, set)| template(set) == bare(deployment.at("/spec/template")))
        .collect();
    // The oldest of several is the one with pods; an orphan may have come back since.
    let is_one = newest.len() == 1 || view.scenario.orphaning;
    let oldest = newest.iter().min_by_key(|(_, set)| {
        (
            set.text("/metadata/creationTimestamp"),
            set.number("/spec/replicas") != wanted,
        )
    });
    let Some((_, newest)) = oldest.filter(|_| is_one) else {
        return Err(format!("{place} has {} newest ReplicaSets", newest.len()));
    };
    for (set_place, set) in &sets {
        let size = set.number("/spec/replicas");
        let expected = if set.uid() == newest.uid() { wanted } else { 0 };
        if size != expected {
            return Err(format!(
                "{set_place} of {place} has size {size} and not {expected}"
            ));
        }
    }
    let limit = deployment
        .at("/spec/revisionHistoryLimit")
        .as_u64()
        .unwrap_or(10) as usize;
    if sets.len() > limit + 1 {
        return Err(format!(
            "{place} keeps {} old ReplicaSets of {limit}",
            sets.len() - 1
        ));
    }
    let pods = view.history.all("core/pods");
    let pods = pods.filter(|(_, pod)| pod.controller_uid() == newest.uid() && !is_finished(pod));
    let ready = pods.filter(|(_, pod)| pod.has_condition("Ready") && !pod.is_deleting());
    let ready = i64::try_from(ready.count()).unwrap_or(i64::MAX);
    if ready != wanted {
        return Err(format!(
            "{place} wants {wanted} pods, and {ready} are ready"
        ));
    }
    for field in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        let said = deployment.number(&format!("/status/{field}"));
        if said != wanted {
            return Err(format!("{place} says {field} {said} and wants {wanted}"));
        }
    }
    let progressing = deployment
        .items("/status/conditions")
        .iter()
        .find(|c| c["type"] == "Progressing");
    match progressing {
        Some(condition) if condition["reason"] == "NewReplicaSetAvailable" => Ok(()),
        other => Err(format!(
            "{place} is complete, and says of its progress {other:?}"
        )),
    }
}

/// A ReplicaSet's template without what tells it from others.
fn template(set: &Object) -> Value {
    bare(set.at("/spec/template"))
}

fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove("pod-template-hash");
    }
    template
}
