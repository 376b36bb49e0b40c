//! The order in which objects are given: what others need comes first.

use super::resource::{Id, Resource};

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Sorts by kind, then by name.
pub(super) fn sort(resources: &mut [Resource], first: &[&str], last: &[&str]) {
    resources.sort_by_cached_key(|resource| {
        let id = resource.id();
        let place = |list: &[&str]| list.iter().position(|kind| *kind == id.kind);
        let rank = match (place(first), place(last)) {
            (_, Some(at)) => first.len() + 1 + at,
            (Some(at), None) => at,
            (None, None) => first.len(),
        };
        (rank, key(&id))
    });
}

/// The order that counts when none is asked for.
pub(super) fn legacy(resources: &mut [Resource]) {
    sort(resources, &FIRST, &LAST);
}

fn key(id: &Id) -> String {
    let or = |text: &str, none: &str| {
        if text.is_empty() {
            none.to_string()
        } else {
            text.to_string()
        }
    };
    let (group, version) = (or(&id.group, "~G"), or(&id.version, "~V"));
    let (namespace, name) = (or(&id.namespace, "~X"), or(&id.name, "~N"));
    format!("{group}_{version}_{}|{namespace}|{name}", id.kind)
}
