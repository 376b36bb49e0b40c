//! Well-known labels, annotations, finalizers and taints, by upstream's names.

/// Finalizer of an object whose dependents go first.
pub const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents stay.
pub const ORPHAN_DEPENDENTS: &str = "orphan";
/// The name of a namespace, as a label of itself.
pub const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// The node's host name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// What `kubectl apply` applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The service an EndpointSlice belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The node is not ready.
pub const TAINT_NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The node is silent.
pub const TAINT_UNREACHABLE: &str = "node.kubernetes.io/unreachable";
