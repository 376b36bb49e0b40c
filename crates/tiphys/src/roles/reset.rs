//! `tiphys reset`: leaves the machine as it was before the server came.

use crate::instance::Instance;
use anyhow::{Context as _, Result, bail};
use container::embedded::{Config, Embedded};
use kubelet::doors::Mounts as _;
use kubelet::machine::LinuxMounts;
use linux::netns::Netns;
use std::path::Path;
use store::disk::{Disk as _, LockError, RealDisk};

/// Ends containers and removes networks, mounts and cgroups; with `purge` the
/// data too.
pub fn run(data: &Path, purge: bool) -> Result<()> {
    let instance = Instance::of(data);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    if runtime.block_on(is_running(&instance))? {
        bail!(
            "a server uses {}\nhint: stop it first",
            instance.data.display()
        );
    }
    let config = Config::new(
        instance.run().join("containers"),
        instance.containers(),
        instance.cgroup(),
    );
    if config.run_dir.exists() || config.data_dir.exists() {
        runtime
            .block_on(Embedded::reset(config))
            .context("end containers")?;
    }
    remove_mounts(&instance.kubelet()).context("remove volumes")?;
    let netns = Netns::current().context("open the node's network namespace")?;
    proxy::remove(&instance.name, &netns).context("remove the service proxy's rules")?;
    for left in podnet::reset(&instance.name, &netns).context("remove the pod network")? {
        println!("removed {left}");
    }
    remove_dir(&instance.run())?;
    for gone in [instance.kubelet(), instance.network()] {
        remove_dir(&gone)?;
    }
    if purge {
        remove_dir(&instance.data)?;
    }
    Ok(())
}

/// Takes away what is mounted in the pods' directories.
fn remove_mounts(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    let mounts = LinuxMounts;
    for target in mounts
        .below(root)
        .with_context(|| format!("list mounts below {}", root.display()))?
    {
        mounts
            .unmount(&target)
            .with_context(|| format!("unmount {}", target.display()))?;
    }
    Ok(())
}

/// Whether a process holds the lock of the store.
pub async fn is_running(instance: &Instance) -> Result<bool> {
    let dir = instance.store();
    if !dir.exists() {
        return Ok(false);
    }
    let disk = RealDisk::new(&dir).with_context(|| format!("look at {}", dir.display()))?;
    match disk.lock().await {
        Ok(_) => Ok(false),
        Err(LockError::Held { .. }) => Ok(true),
        Err(error) => Err(error).with_context(|| format!("look at {}", dir.display())),
    }
}

/// Removes a folder; of one on which a disk is mounted, what is in it.
fn remove_dir(path: &Path) -> Result<()> {
    use std::io::ErrorKind::{NotFound, ResourceBusy};
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == NotFound => Ok(()),
        Err(error) if error.kind() == ResourceBusy && is_empty(path) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove {}", path.display())),
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
