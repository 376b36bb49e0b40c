//! Marks on sandboxes and containers, by which a later kubelet knows them.
//!
//! Follows pkg/kubelet/types/labels.go and kuberuntime/labels.go.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use typed::Typed;
use typed::api::core::v1::{Container, Pod};

use crate::pod::{grace_seconds, spec};

/// The pod's name.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// The pod's namespace.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// The pod's uid.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// The container's name.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// What of the container's definition demands a new container when it changes.
pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
/// Restarts of the container before this one.
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
/// Where the container writes its last words.
pub const TERMINATION_MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
/// What to take when it wrote none.
pub const TERMINATION_MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// Seconds that the pod may take to end.
pub const GRACE_PERIOD: &str = "io.kubernetes.pod.terminationGracePeriod";
/// The file of the host that is mounted at the termination message path.
pub const TERMINATION_MESSAGE_FILE: &str = "tiphys.io/termination-message-file";

/// Labels of a pod's sandbox: the pod's own, and who it is.
pub fn sandbox_labels(pod: &Pod) -> BTreeMap<String, String> {
    let mut labels = pod.labels().clone();
    labels.insert(POD_NAME.to_owned(), pod.name().to_owned());
    labels.insert(POD_NAMESPACE.to_owned(), pod.namespace().to_owned());
    labels.insert(POD_UID.to_owned(), pod.uid().to_owned());
    labels
}

/// Annotations of a pod's sandbox: the pod's own, and how long it may take to end.
pub fn sandbox_annotations(pod: &Pod) -> BTreeMap<String, String> {
    let mut annotations = pod.annotations().clone();
    annotations.insert(GRACE_PERIOD.to_owned(), grace_seconds(pod).to_string());
    annotations
}

/// Labels of a container.
pub fn container_labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    BTreeMap::from([
        (POD_NAME.to_owned(), pod.name().to_owned()),
        (POD_NAMESPACE.to_owned(), pod.namespace().to_owned()),
        (POD_UID.to_owned(), pod.uid().to_owned()),
        (CONTAINER_NAME.to_owned(), container.name.clone()),
    ])
}

/// Annotations of a container.
pub fn container_annotations(
    pod: &Pod,
    container: &Container,
    restart_count: u32,
) -> BTreeMap<String, String> {
    let path = container.termination_message_path.clone();
    let policy = container.termination_message_policy.clone();
    let mut annotations = BTreeMap::from([
        (CONTAINER_HASH.to_owned(), container_hash(container)),
        (RESTART_COUNT.to_owned(), restart_count.to_string()),
        (
            TERMINATION_MESSAGE_PATH.to_owned(),
            path.unwrap_or_default(),
        ),
        (
            TERMINATION_MESSAGE_POLICY.to_owned(),
            policy.unwrap_or_default(),
        ),
    ]);
    if let Some(seconds) = spec(pod).termination_grace_period_seconds {
        annotations.insert(GRACE_PERIOD.to_owned(), seconds.to_string());
    }
    annotations
}

/// Changes when a running container must be replaced: with its name or image.
///
/// Follows pkg/kubelet/container/helpers.go, HashContainer, in what it takes in;
/// the number itself is ours.
pub fn container_hash(container: &Container) -> String {
    let mut hasher = Sha256::new();
    hasher.update(container.name.as_bytes());
    hasher.update([0]);
    hasher.update(container.image.as_deref().unwrap_or_default().as_bytes());
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
