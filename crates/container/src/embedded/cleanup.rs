//! Giving back what a sandbox or container took from the machine. Every step
//! may be repeated, so that it does not matter where an earlier attempt ended.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use linux::cgroup::Group;

use super::{Shared, blocking, cgroup_error};
use crate::error::{Error, Result};
use crate::layout::{SandboxDir, SandboxFile, failed};

/// How often and how long to look whether killed processes are gone.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOK_FOR: Duration = Duration::from_secs(10);

/// Kills what is in a group until nothing is, and removes it.
pub(super) async fn remove_group(shared: &Shared, group: &Group) -> Result<()> {
    if !group.exists() {
        return Ok(());
    }
    let deadline = shared.clock.now() + LOOK_FOR;
    loop {
        if group.remove().is_ok() {
            return Ok(());
        }
        // What cannot be killed shows in the error of the last attempt.
        let _ = group.kill();
        if shared.clock.now() >= deadline {
            return group
                .remove()
                .map_err(|error| cgroup_error("remove a cgroup", &error));
        }
        shared.clock.sleep(LOOK_EVERY).await;
    }
}

/// Ends all processes of a sandbox and gives its namespaces and mounts back. Its
/// records stay.
pub(super) async fn release(
    shared: &Arc<Shared>,
    file: &SandboxFile,
    directory: &SandboxDir,
) -> Result<()> {
    remove_group(shared, &shared.group(&file.monitor_cgroup)?).await?;
    for container in directory.containers()? {
        let path = format!("{}/{container}", file.config.cgroup_parent);
        remove_group(shared, &shared.group(&path)?).await?;
    }
    let path = directory.0.clone();
    blocking("unmount", move || {
        linux::mount::unmount_below(&path).map_err(failed("unmount below", &path))
    })
    .await
}

/// Removes the pod's cgroup, unless something else is in it.
pub(super) fn remove_pod_group(shared: &Shared, file: &SandboxFile) -> Result<()> {
    let group = shared.group(&file.config.cgroup_parent)?;
    if group
        .processes()
        .is_ok_and(|processes| processes.is_empty())
    {
        // A group that got a process meanwhile stays.
        let _ = group.remove();
    }
    Ok(())
}

/// Removes a directory tree; absent is fine.
pub(super) async fn remove_tree(path: &Path) -> Result<()> {
    let path = path.to_owned();
    blocking(
        "remove a directory",
        move || match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
                operation: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        },
    )
    .await
}
