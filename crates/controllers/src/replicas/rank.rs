//! Which pods go first when there are too many. Follows ActivePodsWithRanks in
//! pkg/controller/controller_utils.go.

use crate::pods::{self, DELETION_COST};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Timestamp;
use typed::Typed;
use typed::lean::{ContainerStatus, Pod, PodStatus};

/// The `count` pods to delete first. A pod whose node holds more related pods ranks before others.
pub(super) fn first_to_go(
    active: &[Arc<Pod>],
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    let mut pods = active.to_vec();
    if count < pods.len() {
        let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in related {
            *on_node.entry(pods::node_name(pod)).or_default() += 1;
        }
        let rank = |pod: &Pod| on_node.get(pods::node_name(pod)).copied().unwrap_or(0);
        pods.sort_by(|one, two| compare(one, rank(one), two, rank(two), now));
    }
    pods.truncate(count);
    pods
}

fn compare(one: &Pod, rank_one: usize, two: &Pod, rank_two: usize, now: Timestamp) -> Ordering {
    is_assigned(one)
        .cmp(&is_assigned(two))
        .then_with(|| phase_order(one).cmp(&phase_order(two)))
        .then_with(|| pods::is_ready(one).cmp(&pods::is_ready(two)))
        .then_with(|| deletion_cost(one).cmp(&deletion_cost(two)))
        .then_with(|| rank_two.cmp(&rank_one))
        .then_with(|| compare_ready(one, two, now))
        .then_with(|| restarts(two).cmp(&restarts(one)))
        .then_with(|| compare_ages(created(one), created(two), uids(one, two), now))
}

fn is_assigned(pod: &Pod) -> bool {
    !pods::node_name(pod).is_empty()
}

fn phase_order(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    // What is not a number is refused by nobody and counts as none, as upstream has it.
    pod.annotations()
        .get(DELETION_COST)
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

fn compare_ready(one: &Pod, two: &Pod, now: Timestamp) -> Ordering {
    if !pods::is_ready(one) || !pods::is_ready(two) {
        return Ordering::Equal;
    }
    compare_ages(
        pods::ready_since(one),
        pods::ready_since(two),
        uids(one, two),
        now,
    )
}

/// The younger first, where ages are alike if they have the same order of magnitude; those are
/// ordered by uid, which is random. An unknown time counts as the youngest.
fn compare_ages(
    one: Option<Timestamp>,
    two: Option<Timestamp>,
    uids: (&str, &str),
    now: Timestamp,
) -> Ordering {
    let (one, two) = match (one, two) {
        (one, two) if one == two => return Ordering::Equal,
        (Some(one), Some(two)) => (one, two),
        (one, two) => return one.is_some().cmp(&two.is_some()),
    };
    magnitude(one, now)
        .cmp(&magnitude(two, now))
        .then_with(|| uids.0.cmp(uids.1))
}

fn magnitude(time: Timestamp, now: Timestamp) -> i64 {
    let nanos = now.duration_since(time).as_nanos();
    u128::try_from(nanos)
        .ok()
        .and_then(u128::checked_ilog2)
        .map_or(-1, i64::from)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.created().map(|time| time.0)
}

fn uids<'a>(one: &'a Pod, two: &'a Pod) -> (&'a str, &'a str) {
    (one.uid(), two.uid())
}

/// The most often restarted container, of the ordinary ones and of the sidecars.
fn restarts(pod: &Pod) -> (i32, i32) {
    let most = |statuses: &Option<Vec<ContainerStatus>>| {
        statuses
            .iter()
            .flatten()
            .map(|status| status.restart_count)
            .max()
            .unwrap_or(0)
    };
    let sidecars = |status: &PodStatus| {
        let init = pod
            .spec
            .iter()
            .flat_map(|spec| spec.init_containers.iter().flatten());
        let sidecars: Vec<&str> = init
            .filter(|container| container.restart_policy.as_deref() == Some("Always"))
            .map(|container| container.name.as_str())
            .collect();
        let statuses = status.init_container_statuses.iter().flatten();
        statuses
            .filter(|status| sidecars.contains(&status.name.as_str()))
            .map(|status| status.restart_count)
            .max()
            .unwrap_or(0)
    };
    pod.status.as_ref().map_or((0, 0), |status| {
        (most(&status.container_statuses), sidecars(status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use typed::Wire;

    fn pod(name: &str, change: Value) -> Arc<Pod> {
        let mut pod = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "n", "containers": []},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        });
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        Arc::new(Pod::decode(pod.to_string().as_bytes()).unwrap())
    }

    fn first(one: Value, two: Value) -> String {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let pods = [pod("one", one), pod("two", two)];
        let gone = first_to_go(&pods, &pods, 1, now);
        gone[0].name().to_owned()
    }

    #[test]
    fn the_order_of_going() {
        assert_eq!(
            first(json!({}), json!({"/spec/nodeName": ""})),
            "two",
            "unassigned"
        );
        assert_eq!(
            first(json!({}), json!({"/status/phase": "Pending"})),
            "two",
            "pending"
        );
        assert_eq!(
            first(json!({}), json!({"/status/conditions": []})),
            "two",
            "not ready"
        );
        let cost = json!({"/metadata/annotations": {DELETION_COST: "-5"}});
        assert_eq!(first(json!({}), cost), "two", "cheap");
        let recent = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T23:59:00Z"}]);
        assert_eq!(
            first(json!({}), json!({"/status/conditions": recent})),
            "two",
            "ready for less time"
        );
        let similar = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T01:00:00Z"}]);
        assert_eq!(
            first(json!({}), json!({"/status/conditions": similar})),
            "one",
            "as old, by uid"
        );
        let restarted =
            json!([{"name": "c", "restartCount": 3, "ready": true, "image": "", "imageID": ""}]);
        assert_eq!(
            first(json!({}), json!({"/status/containerStatuses": restarted})),
            "two",
            "restarted"
        );
        let young = json!({"/metadata/creationTimestamp": "2026-01-01T23:00:00Z"});
        assert_eq!(first(json!({}), young), "two", "young");
    }

    #[test]
    fn crowded_nodes_are_relieved_first() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let pods = [
            pod("a", json!({"/spec/nodeName": "x"})),
            pod("b", json!({})),
            pod("c", json!({})),
        ];
        let gone = first_to_go(&pods, &pods, 1, now);
        assert_eq!(gone[0].name(), "b");
    }
}
