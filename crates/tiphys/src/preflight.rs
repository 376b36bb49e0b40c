//! What must be so before a server starts, said in words that help.

use crate::config::Config;
use anyhow::{Result, bail};
use std::path::Path;

/// Kernel features that a node needs: what proves each, and what it is for.
const FEATURES: [(&str, &str, &str); 3] = [
    ("/proc/sys/net/ipv4/ip_forward", "IPv4", "the pod network"),
    ("/sys/fs/cgroup", "control groups", "limits of containers"),
    ("/proc/self/ns/net", "network namespaces", "pods"),
];

/// Refuses what cannot work.
pub fn check(config: &Config) -> Result<()> {
    if config.args.disable_agent {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "a node needs to run as root\nhint: use sudo, or --disable-agent for a control plane without a node"
        );
    }
    for (path, feature, purpose) in FEATURES {
        if !Path::new(path).exists() {
            bail!("the kernel has no {feature}, which {purpose} needs ({path} is not there)");
        }
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = filesystems
        .lines()
        .any(|line| line.trim().ends_with("overlay"));
    if !has_overlay && !module_exists("overlay") {
        bail!(
            "the kernel has no overlay file system, which containers need\nhint: modprobe overlay"
        );
    }
    Ok(())
}

/// Whether a module could be loaded when it is first used.
fn module_exists(name: &str) -> bool {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else {
        return false;
    };
    let dep = format!("/lib/modules/{}/modules.dep", release.trim());
    std::fs::read_to_string(dep).is_ok_and(|text| text.contains(&format!("/{name}.ko")))
}
