//! The kinds that the double serves.

/// A kind's identity and the few rules that the double knows about it.
#[derive(Debug)]
pub struct Kind {
    /// `group/version`, or the version alone.
    pub api_version: &'static str,
    /// The plural name.
    pub resource: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether status is written apart.
    pub status: bool,
}

const fn kind(
    api_version: &'static str,
    resource: &'static str,
    kind: &'static str,
    namespaced: bool,
    status: bool,
) -> Kind {
    Kind {
        api_version,
        resource,
        kind,
        namespaced,
        status,
    }
}

pub(super) const KINDS: &[Kind] = &[
    kind(
        "apps/v1",
        "controllerrevisions",
        "ControllerRevision",
        true,
        false,
    ),
    kind("apps/v1", "deployments", "Deployment", true, true),
    kind("apps/v1", "replicasets", "ReplicaSet", true, true),
    kind("coordination.k8s.io/v1", "leases", "Lease", true, false),
    kind(
        "discovery.k8s.io/v1",
        "endpointslices",
        "EndpointSlice",
        true,
        false,
    ),
    kind(
        "policy/v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        true,
        true,
    ),
    kind(
        "rbac.authorization.k8s.io/v1",
        "clusterroles",
        "ClusterRole",
        false,
        false,
    ),
    kind("rbac.authorization.k8s.io/v1", "roles", "Role", true, false),
    kind("v1", "configmaps", "ConfigMap", true, false),
    kind("v1", "endpoints", "Endpoints", true, false),
    kind("v1", "events", "Event", true, false),
    kind("v1", "namespaces", "Namespace", false, true),
    kind("v1", "nodes", "Node", false, true),
    kind("v1", "pods", "Pod", true, true),
    kind(
        "v1",
        "replicationcontrollers",
        "ReplicationController",
        true,
        true,
    ),
    kind("v1", "resourcequotas", "ResourceQuota", true, true),
    kind("v1", "secrets", "Secret", true, false),
    kind("v1", "serviceaccounts", "ServiceAccount", true, false),
    kind("v1", "services", "Service", true, true),
];

pub(super) fn by_resource(resource: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.resource == resource)
}
