//! Fields whose feature gates upstream has off by default in this release: it
//! drops them silently from what clients write, and so do we. Follows
//! pkg/api/pod/util.go (DropDisabledPodFields).

use crate::fill::items;
use meta::Value;

/// Drops them from a pod's spec.
pub(crate) fn drop_disabled(spec: &mut Value) {
    for volume in items(spec, "volumes") {
        drop_of_volume(volume);
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items(spec, list) {
            drop_of_container(container);
        }
    }
}

fn drop_of_volume(volume: &mut Value) {
    volume.remove_at(&["emptyDir", "mode"]);
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source) {
            source.remove_at(&["defaultUser"]);
            drop_users(source);
        }
    }
    let Some(projected) = volume.get_mut("projected") else {
        return;
    };
    for projection in items(projected, "sources") {
        projection.remove_at(&["clusterTrustBundle"]);
        projection.remove_at(&["podCertificate"]);
        projection.remove_at(&["serviceAccountToken", "user"]);
        for source in ["secret", "configMap", "downwardAPI"] {
            if let Some(source) = projection.get_mut(source) {
                drop_users(source);
            }
        }
    }
}

fn drop_users(source: &mut Value) {
    for file in items(source, "items") {
        file.remove_at(&["user"]);
    }
}

fn drop_of_container(container: &mut Value) {
    for mount in items(container, "volumeMounts") {
        mount.remove_at(&["bindMountOptions"]);
    }
    for handler in [
        &["livenessProbe"][..],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ] {
        if let Some(handler) = container.at_mut(handler) {
            handler.remove_at(&["httpGet", "protocol"]);
            handler.remove_at(&["grpc", "mode"]);
        }
    }
}
