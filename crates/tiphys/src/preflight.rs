//! What must be so before a server starts, said in words that help. A start
//! stops at the first thing that it needs and does not find; `tiphys check`
//! shows all of them.

use crate::config::Config;
use anyhow::{Result, bail};
use rustix::process::{Resource, getrlimit};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// Kernel features that a node needs: what proves each, and what it is for.
const FEATURES: [(&str, &str, &str); 3] = [
    ("/proc/sys/net/ipv4/ip_forward", "IPv4", "the pod network"),
    ("/sys/fs/cgroup", "control groups", "limits of containers"),
    ("/proc/self/ns/net", "network namespaces", "pods"),
];
/// Controllers of cgroups that limits need.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Enough descriptors for a full node and its clients.
const OPEN_FILES: u64 = 16 * 1024;
/// Below this a node reports disk pressure, in percent: images need that much.
const FREE_PERCENT: u64 = 5;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// Whether a server can do without.
    pub weight: Weight,
    /// How it is; or what is wrong, with a hint.
    pub outcome: Result<String, String>,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A server cannot run without.
    Needed,
    /// A server runs, but not as well.
    Wanted,
}

/// Refuses what cannot work.
pub fn check(config: &Config) -> Result<()> {
    for finding in machine(config) {
        if let (Weight::Needed, Err(problem)) = (finding.weight, finding.outcome) {
            bail!("{problem}");
        }
    }
    Ok(())
}

/// Everything that can be seen without starting.
pub fn look(config: &Config) -> Vec<Finding> {
    let mut found = machine(config);
    let api = SocketAddr::new(config.args.bind_address, config.args.https_listen_port);
    found.push(needed("API server's port", port(api, "https-listen-port")));
    if !config.args.disable_agent {
        let kubelet = SocketAddr::new(config.args.bind_address, config.args.kubelet_port);
        found.push(needed("kubelet's port", port(kubelet, "kubelet-port")));
    }
    found.push(wanted("disk", disk(&config.instance.data)));
    found.push(wanted("open files", open_files()));
    found
}

/// What the machine must offer.
fn machine(config: &Config) -> Vec<Finding> {
    if config.args.disable_agent {
        return Vec::new();
    }
    let mut found = vec![needed("user", root())];
    for (path, feature, purpose) in FEATURES {
        found.push(needed(feature, exists(path, feature, purpose)));
    }
    found.push(needed("overlay file system", overlay()));
    found.push(wanted("cgroup controllers", controllers()));
    found
}

fn needed(what: &'static str, outcome: Result<String, String>) -> Finding {
    Finding {
        what,
        weight: Weight::Needed,
        outcome,
    }
}

fn wanted(what: &'static str, outcome: Result<String, String>) -> Finding {
    Finding {
        what,
        weight: Weight::Wanted,
        outcome,
    }
}

fn root() -> Result<String, String> {
    match rustix::process::geteuid().is_root() {
        true => Ok("root".into()),
        false => Err("a node needs to run as root\nhint: use sudo, or --disable-agent for a control plane without a node".into()),
    }
}

fn exists(path: &str, feature: &str, purpose: &str) -> Result<String, String> {
    match Path::new(path).exists() {
        true => Ok(format!("there, for {purpose}")),
        false => Err(format!(
            "the kernel has no {feature}, which {purpose} needs ({path} is not there)"
        )),
    }
}

fn overlay() -> Result<String, String> {
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = filesystems
        .lines()
        .any(|line| line.trim().ends_with("overlay"));
    match has_overlay || module_exists("overlay") {
        true => Ok("there, for images and containers".into()),
        false => Err(
            "the kernel has no overlay file system, which containers need\nhint: modprobe overlay"
                .into(),
        ),
    }
}

/// Whether a module could be loaded when it is first used.
fn module_exists(name: &str) -> bool {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else {
        return false;
    };
    let dep = format!("/lib/modules/{}/modules.dep", release.trim());
    std::fs::read_to_string(dep).is_ok_and(|text| text.contains(&format!("/{name}.ko")))
}

/// Version 2 names its controllers in one file; version 1 is listed by the kernel.
fn controllers() -> Result<String, String> {
    let unified = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
    let listed = match &unified {
        Ok(text) => text.clone(),
        Err(_) => std::fs::read_to_string("/proc/cgroups").unwrap_or_default(),
    };
    let known: Vec<&str> = listed.split_whitespace().collect();
    let missing: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    let version = if unified.is_ok() { 2 } else { 1 };
    match missing.is_empty() {
        true => Ok(format!("{}, version {version}", CONTROLLERS.join(", "))),
        false => Err(format!(
            "limits of {} cannot be enforced\nhint: boot with cgroup_enable=memory cgroup_memory=1 if memory is missing",
            missing.join(", ")
        )),
    }
}

fn port(address: SocketAddr, option: &str) -> Result<String, String> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!(
            "{address} cannot be listened on: {error}\nhint: choose another with --{option}"
        )),
    }
}

fn disk(data: &Path) -> Result<String, String> {
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(data);
    let space = match rustix::fs::statvfs(there) {
        Ok(space) => space,
        Err(error) => return Err(format!("{} cannot be looked at: {error}", there.display())),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize) >> 20;
    let percent = space.f_bavail.saturating_mul(100) / space.f_blocks.max(1);
    match percent >= FREE_PERCENT {
        true => Ok(format!("{free} MiB free below {}", there.display())),
        false => Err(format!(
            "only {free} MiB ({percent} %) are free below {}: the node will report disk pressure\nhint: choose another place with --data-dir",
            there.display()
        )),
    }
}

fn open_files() -> Result<String, String> {
    let most = getrlimit(Resource::Nofile).maximum;
    match most {
        Some(most) if most < OPEN_FILES => Err(format!(
            "no more than {most} files can be open at once\nhint: ulimit -Hn {OPEN_FILES}"
        )),
        Some(most) => Ok(format!("up to {most}")),
        None => Ok("no limit".into()),
    }
}
