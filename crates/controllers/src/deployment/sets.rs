//! What a deployment asks about its ReplicaSets. Follows
//! pkg/controller/deployment/util/deployment_util.go.

use std::cmp::Ordering;
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::api::core::v1::PodTemplateSpec;
use typed::{IntOrString, Typed};

/// The label that keeps the pods of different templates apart.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";
/// The number of a template among the deployment's templates.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers that a template had before.
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The deployment's replicas when the set was last scaled.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The most pods that there could be when the set was last scaled.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

const REVISION_HISTORY_LENGTH_MAX: usize = 2000;
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// How many pods the deployment wants.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// How many pods a set wants.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// How many of a set's pods are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status
        .as_ref()
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
}

/// How many pods a set has.
pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

/// Whether pods are replaced step by step.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment
        .spec
        .strategy
        .as_ref()
        .and_then(|strategy| strategy.type_.as_deref());
    strategy.unwrap_or("RollingUpdate") == "RollingUpdate"
}

/// How many pods may be there beyond those wanted.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if is_rolling(deployment) {
        fenceposts(deployment).0
    } else {
        0
    }
}

/// How many of the wanted pods may be unavailable.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if !is_rolling(deployment) || wanted(deployment) == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(wanted(deployment))
}

/// Surge is rounded up and unavailability down; if both are 0, one may be unavailable, as nothing
/// could move otherwise.
fn fenceposts(deployment: &Deployment) -> (i32, i32) {
    let rolling = deployment
        .spec
        .strategy
        .as_ref()
        .and_then(|strategy| strategy.rolling_update.as_ref());
    let quarter = IntOrString::String("25%".to_owned());
    let surge = rolling
        .and_then(|rolling| rolling.max_surge.as_ref())
        .unwrap_or(&quarter);
    let unavailable = rolling
        .and_then(|rolling| rolling.max_unavailable.as_ref())
        .unwrap_or(&quarter);
    let total = wanted(deployment);
    match (
        scaled(surge, total, true),
        scaled(unavailable, total, false),
    ) {
        (0, 0) => (0, 1),
        posts => posts,
    }
}

/// A number, or a part of the total in percent. What is neither was refused by validation.
fn scaled(value: &IntOrString, total: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let product = percent * i64::from(total);
            let part = if up {
                (product + 99).div_euclid(100)
            } else {
                product.div_euclid(100)
            };
            i32::try_from(part).unwrap_or(i32::MAX)
        }
    }
}

/// Whether two templates are the same, but for the label that keeps their pods apart.
pub(super) fn same_template(one: &PodTemplateSpec, two: &PodTemplateSpec) -> bool {
    let bare = |template: &PodTemplateSpec| {
        let mut template = template.clone();
        if let Some(labels) = template
            .metadata
            .as_mut()
            .and_then(|meta| meta.labels.as_mut())
        {
            labels.remove(TEMPLATE_HASH);
        }
        let labels = template
            .metadata
            .as_ref()
            .and_then(|meta| meta.labels.as_ref());
        if labels.is_some_and(std::collections::BTreeMap::is_empty)
            && let Some(meta) = &mut template.metadata
        {
            meta.labels = None;
        }
        template.metadata = template.metadata.filter(|meta| *meta != Default::default());
        template
    };
    bare(one) == bare(two)
}

/// The older first, then by name.
pub(super) fn by_age(one: &ReplicaSet, two: &ReplicaSet) -> Ordering {
    let age = |set: &ReplicaSet| set.created().map(|time| time.0);
    age(one)
        .cmp(&age(two))
        .then_with(|| one.name().cmp(two.name()))
}

/// A number among an object's annotations.
pub(super) fn annotated(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.annotations().get(name)?.parse().ok()
}

/// The set's revision, 0 if it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    set.annotations()
        .get(REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Notes on a set how many pods the deployment wants and may have. Returns whether that was news.
pub(super) fn annotate_replicas(set: &mut ReplicaSet, deployment: &Deployment) -> bool {
    let total = wanted(deployment);
    let notes = [
        (DESIRED_REPLICAS, total),
        (MAX_REPLICAS, total.saturating_add(max_surge(deployment))),
    ];
    let mut changed = false;
    for (name, value) in notes {
        changed |= annotate(set, name, value.to_string());
    }
    changed
}

/// Copies the deployment's annotations to its newest set and numbers it. Returns whether something
/// changed.
pub(super) fn annotate_newest(
    set: &mut ReplicaSet,
    deployment: &Deployment,
    revision: i64,
) -> bool {
    let mut changed = false;
    for (name, value) in deployment.annotations() {
        if !NOT_COPIED.contains(&name.as_str()) {
            changed |= annotate(set, name, value.clone());
        }
    }
    let old = set.annotations().get(REVISION).cloned();
    let old_number = match &old {
        Some(text) => match text.parse::<i64>() {
            Ok(number) => number,
            // A revision that is not a number is somebody else's doing and is left alone.
            Err(_) => return changed,
        },
        None => 0,
    };
    if old_number < revision {
        annotate(set, REVISION, revision.to_string());
        if let Some(old) = old {
            remember_revision(set, old);
        }
        changed = true;
    }
    changed
}

/// A template that comes back keeps the numbers that it had; the oldest go when there is no room.
fn remember_revision(set: &mut ReplicaSet, old: String) {
    let history = set
        .annotations()
        .get(REVISION_HISTORY)
        .cloned()
        .unwrap_or_default();
    let mut numbers: Vec<&str> = history
        .split(',')
        .filter(|number| !number.is_empty())
        .collect();
    numbers.push(&old);
    let length =
        |numbers: &[&str]| numbers.iter().map(|number| number.len() + 1).sum::<usize>() - 1;
    while numbers.len() > 1 && length(&numbers) > REVISION_HISTORY_LENGTH_MAX {
        numbers.remove(0);
    }
    let history = numbers.join(",");
    annotate(set, REVISION_HISTORY, history);
}

fn annotate(set: &mut ReplicaSet, name: &str, value: String) -> bool {
    if set.annotations().get(name) == Some(&value) {
        return false;
    }
    set.annotations_mut().insert(name.to_owned(), value);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use typed::Wire;

    fn deployment(
        replicas: i32,
        surge: serde_json::Value,
        unavailable: serde_json::Value,
    ) -> Deployment {
        let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas, "selector": {}, "template": {},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
        Deployment::decode(deployment.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn fenceposts_are_rounded_for_progress_and_availability() {
        for (replicas, surge, unavailable, want) in [
            (10, json!("25%"), json!("25%"), (3, 2)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (3, json!(0), json!(0), (0, 1)),
            (2, json!(0), json!(5), (0, 2)),
            (0, json!("50%"), json!("50%"), (0, 0)),
        ] {
            let deployment = deployment(replicas, surge, unavailable);
            assert_eq!(
                (max_surge(&deployment), max_unavailable(&deployment)),
                want,
                "{replicas}"
            );
        }
    }

    #[test]
    fn revisions_are_remembered() {
        let deployment = Deployment::default();
        let mut set = ReplicaSet::default();
        for revision in [1, 3, 3, 5] {
            annotate_newest(&mut set, &deployment, revision);
        }
        assert_eq!(
            (
                set.annotations()[REVISION].as_str(),
                set.annotations()[REVISION_HISTORY].as_str()
            ),
            ("5", "1,3")
        );
        for revision in 1000..1600 {
            annotate_newest(&mut set, &deployment, revision);
        }
        let history = &set.annotations()[REVISION_HISTORY];
        assert!(
            history.len() <= REVISION_HISTORY_LENGTH_MAX && history.ends_with(",1598"),
            "{history}"
        );
    }
}
