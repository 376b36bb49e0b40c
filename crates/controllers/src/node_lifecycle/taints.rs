//! Which taints a node's conditions call for.

use crate::nodes;
use crate::replicas::seconds;
use serde_json::{Value, json};
use stdx::Timestamp;
use typed::Time;
use typed::api::core::v1::{Node, Taint};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// A condition and its status that call for a taint.
const CALLS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    (
        "MemoryPressure",
        "True",
        "node.kubernetes.io/memory-pressure",
    ),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    (
        "NetworkUnavailable",
        "True",
        "node.kubernetes.io/network-unavailable",
    ),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// The node's taints with those that keep pods away as they should be, if they are not. Follows
/// doNoScheduleTaintingPass.
pub(super) fn no_schedule(node: &Node) -> Option<Vec<Taint>> {
    let is = |kind: &str, status: &str| {
        nodes::condition(node, kind).is_some_and(|condition| condition.status == status)
    };
    let mut wanted: Vec<&str> = CALLS
        .iter()
        .filter(|(kind, status, _)| is(kind, status))
        .map(|(_, _, taint)| *taint)
        .collect();
    if node
        .spec
        .as_ref()
        .and_then(|spec| spec.unschedulable)
        .unwrap_or(false)
    {
        wanted.push(UNSCHEDULABLE);
    }
    let is_ours =
        |key: &str| key == UNSCHEDULABLE || CALLS.iter().any(|(_, _, taint)| *taint == key);
    replace(node, "NoSchedule", is_ours, &wanted, None)
}

/// The node's taints with those that drive pods away as they should be, if they are not. A new one
/// is put only if the node's zone allows it; none stays if no pods shall be driven away at all.
/// Follows processTaintBaseEviction.
pub(super) fn no_execute(
    node: &Node,
    evicts: bool,
    may_taint: bool,
    wall: Timestamp,
) -> Option<Vec<Taint>> {
    let ready = nodes::condition(node, "Ready").map(|condition| condition.status.as_str());
    let wanted: &[&str] = match ready {
        _ if !evicts => &[],
        Some("False") => &[NOT_READY],
        Some("Unknown") => &[UNREACHABLE],
        _ => &[],
    };
    let is_ours = |key: &str| key == NOT_READY || key == UNREACHABLE;
    let has_one = nodes::taints(node)
        .iter()
        .any(|taint| taint.effect == "NoExecute" && is_ours(&taint.key));
    // One taint for another is no new one: the pods have been driven away before.
    if !wanted.is_empty() && !has_one && !may_taint {
        return None;
    }
    replace(
        node,
        "NoExecute",
        is_ours,
        wanted,
        Some(Time(seconds(wall))),
    )
}

/// Whether the node is to be tainted anew so that pods leave it.
pub(super) fn awaits_taint(node: &Node) -> bool {
    no_execute(node, true, true, Timestamp::UNIX_EPOCH)
        .is_some_and(|_| no_execute(node, true, false, Timestamp::UNIX_EPOCH).is_none())
}

pub(super) fn to_json(taint: &Taint) -> Value {
    let mut value = json!({"key": taint.key, "effect": taint.effect});
    if let Some(text) = taint.value.as_ref().filter(|text| !text.is_empty()) {
        value["value"] = json!(text);
    }
    if let Some(time) = &taint.time_added {
        value["timeAdded"] = json!(stdx::format_seconds(time.0));
    }
    value
}

fn replace(
    node: &Node,
    effect: &str,
    is_ours: impl Fn(&str) -> bool,
    wanted: &[&str],
    added: Option<Time>,
) -> Option<Vec<Taint>> {
    let before = nodes::taints(node);
    let is_kept = |taint: &&Taint| {
        taint.effect != effect || !is_ours(&taint.key) || wanted.contains(&taint.key.as_str())
    };
    let mut taints: Vec<Taint> = before.iter().filter(is_kept).cloned().collect();
    for key in wanted {
        if !taints
            .iter()
            .any(|taint| taint.effect == effect && taint.key == *key)
        {
            let (key, effect) = ((*key).to_owned(), effect.to_owned());
            taints.push(Taint {
                key,
                effect,
                time_added: added.clone(),
                value: None,
            });
        }
    }
    (taints != before).then_some(taints)
}
