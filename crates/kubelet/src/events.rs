//! What events are about.

use typed::Typed;
use typed::api::core::v1::{ObjectReference, Pod};

use crate::pod::{ContainerKind, container};

/// The pod.
pub fn pod_reference(pod: &Pod) -> ObjectReference {
    pod.object_reference()
}

/// One of its containers.
pub fn container_reference(pod: &Pod, name: &str) -> ObjectReference {
    let list = match container(pod, name).map(|(kind, _)| kind) {
        Some(ContainerKind::Init | ContainerKind::Sidecar) => "initContainers",
        Some(ContainerKind::Ephemeral) => "ephemeralContainers",
        _ => "containers",
    };
    ObjectReference {
        field_path: Some(format!("spec.{list}{{{name}}}")),
        ..pod.object_reference()
    }
}

/// The node. Its uid in events is its name, as upstream has it.
pub fn node_reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}
