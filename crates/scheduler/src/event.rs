//! What happens in the cluster, as far as it can help a waiting pod.
//!
//! Follows pkg/scheduler/framework/events.go.

use std::ops::BitOr;

use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::resources::Resources;

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// A node came.
    pub const NODE_ADD: Self = Self(1);
    /// A node left.
    pub const NODE_DELETE: Self = Self(1 << 1);
    /// What a node has changed.
    pub const NODE_ALLOCATABLE: Self = Self(1 << 2);
    /// A node's labels changed.
    pub const NODE_LABEL: Self = Self(1 << 3);
    /// A node's taints or `spec.unschedulable` changed.
    pub const NODE_TAINT: Self = Self(1 << 4);
    /// A pod got its node.
    pub const POD_ADD: Self = Self(1 << 5);
    /// A placed pod left.
    pub const POD_DELETE: Self = Self(1 << 6);
    /// A placed pod's labels changed.
    pub const POD_LABEL: Self = Self(1 << 7);
    /// A placed pod takes less than before.
    pub const POD_SCALE_DOWN: Self = Self(1 << 8);
    /// The waiting pod's labels changed.
    pub const OWN_LABEL: Self = Self(1 << 9);
    /// The waiting pod asks for less than before.
    pub const OWN_SCALE_DOWN: Self = Self(1 << 10);
    /// The waiting pod's tolerations changed.
    pub const OWN_TOLERATION: Self = Self(1 << 11);
    /// A namespace's labels changed.
    pub const NAMESPACE_LABEL: Self = Self(1 << 12);

    /// No events.
    pub const NONE: Self = Self(0);

    /// Both sets.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a kind in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this is no kind at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// All kinds that this is.
    pub kinds: Events,
    /// What changed.
    pub change: Change<'a>,
}

/// What an event is about, before and after.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A node.
    Node {
        /// Before; absent when it came.
        old: Option<&'a NodeInfo>,
        /// After; absent when it left.
        new: Option<&'a NodeInfo>,
    },
    /// A pod that has its node.
    Pod {
        /// Before; absent when it came.
        old: Option<&'a PodInfo>,
        /// After; absent when it left.
        new: Option<&'a PodInfo>,
    },
    /// The waiting pod itself.
    Own,
    /// A namespace.
    Namespace,
}

impl<'a> Event<'a> {
    /// The event of a node's change.
    pub fn of_node(old: Option<&'a NodeInfo>, new: Option<&'a NodeInfo>) -> Self {
        Self {
            kinds: node_events(old, new),
            change: Change::Node { old, new },
        }
    }

    /// The event of a placed pod's change.
    pub fn of_pod(old: Option<&'a PodInfo>, new: Option<&'a PodInfo>) -> Self {
        let kinds = match (old, new) {
            (None, None) => Events::NONE,
            (None, Some(_)) => Events::POD_ADD,
            (Some(_), None) => Events::POD_DELETE,
            (Some(old), Some(new)) => pod_events(old, new),
        };
        Self {
            kinds,
            change: Change::Pod { old, new },
        }
    }

    /// The event of a waiting pod's own change.
    pub fn of_own(old: &PodInfo, new: &PodInfo) -> Self {
        Self {
            kinds: own_events(old, new),
            change: Change::Own,
        }
    }

    /// The event of a namespace's new labels.
    pub fn of_namespace() -> Self {
        Self {
            kinds: Events::NAMESPACE_LABEL,
            change: Change::Namespace,
        }
    }
}

fn node_events(old: Option<&NodeInfo>, new: Option<&NodeInfo>) -> Events {
    let (old, new) = match (old, new) {
        (None, None) => return Events::NONE,
        (None, Some(_)) => return Events::NODE_ADD,
        (Some(_), None) => return Events::NODE_DELETE,
        (Some(old), Some(new)) => (old, new),
    };
    let mut kinds = Events::NONE;
    if old.allocatable != new.allocatable || old.allowed_pods != new.allowed_pods {
        kinds = kinds | Events::NODE_ALLOCATABLE;
    }
    if old.labels() != new.labels() {
        kinds = kinds | Events::NODE_LABEL;
    }
    if old.taints != new.taints || old.unschedulable != new.unschedulable {
        kinds = kinds | Events::NODE_TAINT;
    }
    kinds
}

fn pod_events(old: &PodInfo, new: &PodInfo) -> Events {
    let mut kinds = Events::NONE;
    if old.labels != new.labels {
        kinds = kinds | Events::POD_LABEL;
    }
    if asks_less(old, new) {
        kinds = kinds | Events::POD_SCALE_DOWN;
    }
    kinds
}

fn own_events(old: &PodInfo, new: &PodInfo) -> Events {
    let mut kinds = Events::NONE;
    if old.labels != new.labels {
        kinds = kinds | Events::OWN_LABEL;
    }
    if asks_less(old, new) {
        kinds = kinds | Events::OWN_SCALE_DOWN;
    }
    if old.shape.tolerations != new.shape.tolerations {
        kinds = kinds | Events::OWN_TOLERATION;
    }
    kinds
}

fn asks_less(old: &PodInfo, new: &PodInfo) -> bool {
    let requests = |pod: &'_ PodInfo| -> Resources { pod.shape.resources.requests.clone() };
    if old.shape.resources == new.shape.resources {
        return false;
    }
    let (old, new) = (requests(old), requests(new));
    new.milli_cpu < old.milli_cpu
        || new.memory < old.memory
        || new.ephemeral_storage < old.ephemeral_storage
        || old
            .scalars
            .iter()
            .any(|(name, had)| new.scalar(name) < *had)
}
