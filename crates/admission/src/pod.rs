//! What several plugins look for in a pod. Follows pkg/api/pod/util.go.

use meta::Value;
use meta::object::Object as _;

/// The annotation of a pod that a kubelet runs by itself and only shows here.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// Whether a pod is a kubelet's own.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    pod.annotation(MIRROR).is_some()
}

/// The containers of a spec of all kinds, init containers first.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.into_iter().flat_map(|list| spec.items_at(&[list]))
}

/// Whether a pod names any secret.
pub(crate) fn names_secrets(pod: &Value) -> bool {
    let Some(spec) = pod.get("spec") else {
        return false;
    };
    let of_container = |container: &Value| {
        any(container, "envFrom", |from| has(from, &["secretRef"]))
            || any(container, "env", |env| {
                has(env, &["valueFrom", "secretKeyRef"])
            })
    };
    !spec.items_at(&["imagePullSecrets"]).is_empty()
        || containers(spec).any(of_container)
        || any(spec, "volumes", volume_names_secret)
}

/// Whether a pod names any config map.
pub(crate) fn names_config_maps(pod: &Value) -> bool {
    let Some(spec) = pod.get("spec") else {
        return false;
    };
    let of_container = |container: &Value| {
        any(container, "envFrom", |from| has(from, &["configMapRef"]))
            || any(container, "env", |env| {
                has(env, &["valueFrom", "configMapKeyRef"])
            })
    };
    let of_volume = |volume: &Value| {
        has(volume, &["configMap"]) || any_projected(volume, |source| has(source, &["configMap"]))
    };
    containers(spec).any(of_container) || any(spec, "volumes", of_volume)
}

fn volume_names_secret(volume: &Value) -> bool {
    let by_reference = [
        "cephfs",
        "flexVolume",
        "iscsi",
        "rbd",
        "scaleIO",
        "storageos",
    ];
    has(volume, &["secret"])
        || has(volume, &["azureFile"])
        || has(volume, &["csi", "nodePublishSecretRef"])
        || by_reference
            .iter()
            .any(|kind| has(volume, &[kind, "secretRef"]))
        || any_projected(volume, |source| has(source, &["secret"]))
}

/// Whether a projected volume has such a source.
pub(crate) fn any_projected(volume: &Value, is: impl Fn(&Value) -> bool) -> bool {
    volume.items_at(&["projected", "sources"]).iter().any(is)
}

/// Whether a list has such an item.
pub(crate) fn any(value: &Value, list: &str, is: impl Fn(&Value) -> bool) -> bool {
    value.items_at(&[list]).iter().any(is)
}

/// Whether something is at the end of a chain of keys.
pub(crate) fn has(value: &Value, keys: &[&str]) -> bool {
    value.at(keys).is_some_and(|v| !v.is_null())
}
