//! Pods that write more than they may: into an `emptyDir` with a limit, or
//! all in all beyond their limits of ephemeral storage.
//!
//! Follows localStorageEviction of pkg/kubelet/eviction/eviction_manager.go.

use container::status::FsUsage;
use meta::Quantity;
use typed::api::core::v1::Pod;

use crate::pod::spec;
use crate::resources::{limits, pod_limits};
use crate::usage::PodUsage;

const STORAGE: &str = "ephemeral-storage";

/// Whether the pod has any limit, so that it is worth measuring.
pub fn is_limited(pod: &Pod) -> bool {
    let volumes = spec(pod).volumes.iter().flatten();
    let mut volumes = volumes.filter_map(|volume| volume.empty_dir.as_ref());
    volumes.any(|volume| volume.size_limit.is_some()) || pod_limits(pod).contains_key(STORAGE)
}

/// Why the pod has to go, if it has to.
pub fn excess(pod: &Pod, usage: &PodUsage) -> Option<String> {
    of_volumes(pod, usage)
        .or_else(|| of_pod(pod, usage))
        .or_else(|| of_containers(pod, usage))
}

fn of_volumes(pod: &Pod, usage: &PodUsage) -> Option<String> {
    spec(pod).volumes.iter().flatten().find_map(|volume| {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let limit: Quantity = limit.0.parse().ok()?;
        let used = usage.volumes.get(&volume.name)?;
        let name = &volume.name;
        exceeds(*used, limit)
            .then(|| format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". "))
    })
}

fn of_pod(pod: &Pod, usage: &PodUsage) -> Option<String> {
    let limit = pod_limits(pod).get(STORAGE).copied()?;
    exceeds(usage.disk(), limit).then(|| {
        format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ")
    })
}

fn of_containers(pod: &Pod, usage: &PodUsage) -> Option<String> {
    spec(pod).containers.iter().find_map(|container| {
        let limit = limits(container).get(STORAGE).copied()?;
        let name = &container.name;
        let used = usage.containers.iter().find(|one| one.name == *name)?;
        exceeds(used.disk(), limit).then(|| {
            format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ")
        })
    })
}

fn exceeds(used: FsUsage, limit: Quantity) -> bool {
    let used = i64::try_from(used.used_bytes).unwrap_or(i64::MAX);
    limit.sign() > 0 && Quantity::from_bytes(used) > limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use crate::usage::ContainerUsage;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn bytes(used_bytes: u64) -> FsUsage {
        FsUsage {
            used_bytes,
            inodes_used: 1,
        }
    }

    fn check(spec: Value, logs: u64, volume: u64) -> Option<String> {
        let usage = PodUsage {
            containers: vec![ContainerUsage {
                name: "main".to_owned(),
                logs: bytes(logs),
                ..ContainerUsage::default()
            }],
            volumes: BTreeMap::from([("data".to_owned(), bytes(volume))]),
            ..PodUsage::default()
        };
        let pod = pod(spec);
        assert!(is_limited(&pod));
        excess(&pod, &usage)
    }

    #[test]
    fn limits_are_held() {
        let volume = json!({"containers": [{"name": "main"}], "volumes": [
            {"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}
        ]});
        assert_eq!(check(volume.clone(), 9 << 20, 1 << 20), None);
        assert_eq!(
            check(volume, 0, (1 << 20) + 1).as_deref(),
            Some("Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\". ")
        );
        let limit = json!({"limits": {"ephemeral-storage": "1Mi"}});
        let one = json!({"containers": [{"name": "main", "resources": limit}]});
        assert_eq!(check(one.clone(), 1 << 19, 1 << 19), None);
        assert_eq!(
            check(one, 1 << 19, 1 << 20).as_deref(),
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ")
        );
        let other = json!({"limits": {"ephemeral-storage": "1Gi"}});
        let two = json!({"containers": [
            {"name": "main", "resources": limit}, {"name": "other", "resources": other}
        ]});
        assert_eq!(
            check(two, 2 << 20, 0).as_deref(),
            Some("Container main exceeded its local ephemeral storage limit \"1Mi\". ")
        );
        assert!(!is_limited(&pod(
            json!({"volumes": [{"name": "v", "emptyDir": {}}]})
        )));
    }
}
