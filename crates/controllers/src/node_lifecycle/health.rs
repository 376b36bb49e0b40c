//! When a node was last heard of: by its Ready condition's heartbeat or by its lease, as this
//! process noticed it, so that the node's clock does not matter. Follows tryUpdateNodeHealth.

use crate::nodes;
use crate::replicas::seconds;
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::{Instant, Timestamp};
use typed::api::core::v1::{Node, NodeCondition};
use typed::{Time, Typed};

/// Upstream's --node-monitor-grace-period since 1.32.
const GRACE: Duration = Duration::from_secs(50);
/// Upstream's --node-startup-grace-period.
const STARTUP_GRACE: Duration = Duration::from_secs(60);
/// The conditions that only the kubelet knows.
const KUBELET_CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is remembered of each node, by name.
#[derive(Default)]
pub(super) struct Healths {
    nodes: BTreeMap<String, Health>,
}

struct Health {
    uid: String,
    heard: Instant,
    heartbeat: Option<Time>,
    renewed: Option<Timestamp>,
    /// Some of its pods are still to be marked not ready.
    owes_marks: bool,
}

/// Whether the node says that it is ready.
pub(super) fn is_ready(node: &Node) -> bool {
    nodes::condition(node, "Ready").is_some_and(|condition| condition.status == "True")
}

impl Healths {
    /// Forgets nodes that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.nodes.retain(|name, _| is_there(name));
    }

    /// Notes what there is to hear of a node. If nothing was heard for too long, returns the node
    /// with the conditions to write.
    pub(super) fn judge(
        &mut self,
        node: &Node,
        renewed: Option<Timestamp>,
        now: Instant,
        wall: Timestamp,
    ) -> Option<Node> {
        let ready = nodes::condition(node, "Ready");
        let heartbeat = ready.and_then(|ready| ready.last_heartbeat_time.clone());
        let first = || Health {
            uid: node.uid().to_owned(),
            heard: now,
            heartbeat: None,
            renewed: None,
            owes_marks: false,
        };
        let health = self
            .nodes
            .entry(node.name().to_owned())
            .or_insert_with(first);
        if health.uid != node.uid() {
            *health = first();
        }
        // Upstream wants a later time. But a clock that was ahead and is set right renews
        // with earlier ones, and whoever renews is alive.
        let is_renewed = renewed.is_some() && renewed != health.renewed;
        if heartbeat != health.heartbeat || is_renewed {
            health.heard = now;
            health.heartbeat = heartbeat;
            health.renewed = renewed.or(health.renewed);
        }
        let grace = if ready.is_some() {
            GRACE
        } else {
            STARTUP_GRACE
        };
        if now - health.heard <= grace {
            return None;
        }
        with_unknown_conditions(node, wall)
    }

    pub(super) fn owes_marks(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|health| health.owes_marks)
    }

    pub(super) fn note_marks(&mut self, name: &str, owed: bool) {
        if let Some(health) = self.nodes.get_mut(name) {
            health.owes_marks = owed;
        }
    }
}

/// The node with what is not known any more marked so; nothing if it is already.
fn with_unknown_conditions(node: &Node, wall: Timestamp) -> Option<Node> {
    let mut unknown = node.clone();
    let conditions = unknown
        .status
        .get_or_insert_default()
        .conditions
        .get_or_insert_default();
    let now = Some(Time(seconds(wall)));
    let mut changed = false;
    for kind in KUBELET_CONDITIONS {
        match conditions
            .iter_mut()
            .find(|condition| condition.type_ == kind)
        {
            Some(condition) if condition.status == "Unknown" => continue,
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = now.clone();
            }
            None => conditions.push(NodeCondition {
                type_: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.created().cloned(),
                last_transition_time: now.clone(),
            }),
        }
        changed = true;
    }
    changed.then_some(unknown)
}
