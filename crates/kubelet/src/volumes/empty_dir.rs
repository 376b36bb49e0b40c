//! `emptyDir`: a directory that lives as long as its pod, on disk or in memory.
//!
//! Follows pkg/volume/emptydir/empty_dir.go. A size limit on disk is not
//! enforced yet: that is the eviction manager's work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use meta::Quantity;
use typed::api::core::v1::Volume;

use super::{Plugin, Setup, VolumeError, make, ownership};
use crate::pod::spec;
use crate::resources::pod_limits;

/// The plugin.
pub struct EmptyDirVolume;

#[async_trait]
impl Plugin for EmptyDirVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/empty-dir"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.empty_dir.is_some()
    }

    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.empty_dir.clone().unwrap_or_default();
        let directory = setup.directory(self, volume);
        let fresh = !directory.exists();
        make(&directory)?;
        let failed = |operation, error| VolumeError::io(operation, &directory, error);
        match source.medium.as_deref().unwrap_or_default() {
            "" => {
                if fresh {
                    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777))
                        .map_err(|error| failed("change mode of", error))?;
                }
            }
            "Memory" => {
                let mounted = setup
                    .mounts
                    .is_mounted(&directory)
                    .map_err(|error| failed("inspect", error))?;
                if !mounted {
                    let size = size(setup, source.size_limit.as_ref());
                    setup
                        .mounts
                        .tmpfs(&directory, size, 0o777)
                        .map_err(|error| failed("mount tmpfs at", error))?;
                }
            }
            medium => return Err(VolumeError::Type(format!("emptyDir with medium {medium}"))),
        }
        if let Some(group) = setup.fs_group() {
            let context = spec(setup.pod).security_context.as_ref();
            let policy = context.and_then(|context| context.fs_group_change_policy.as_deref());
            ownership::own(&directory, group, policy)
                .map_err(|error| failed("change owner below", error))?;
        }
        Ok(directory)
    }
}

/// The least of the volume's limit, the pod's memory limit and what the node has to give.
fn size(setup: &Setup<'_>, limit: Option<&typed::Quantity>) -> Option<u64> {
    let own = limit.and_then(|quantity| quantity.0.parse::<Quantity>().ok());
    let pod = pod_limits(setup.pod).get("memory").copied();
    let node = setup.node.allocatable.get("memory").copied();
    [own, pod, node]
        .into_iter()
        .flatten()
        .filter(|quantity| quantity.sign() > 0)
        .min()
        .and_then(|quantity| u64::try_from(quantity.value()).ok())
}
