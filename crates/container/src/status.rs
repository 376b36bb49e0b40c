//! What a sandbox and a container turned out to be.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Exit code of a container whose program could not be run.
pub const EXIT_START_ERROR: i32 = 128;
/// Exit code of a container killed by SIGKILL, also when its monitor died.
pub const EXIT_KILLED: i32 = 137;
/// Exit code of a container of whose end nobody knows, as containerd has it.
pub const EXIT_UNKNOWN: i32 = 255;
/// Reasons of an ended container, as upstream spells them.
pub mod reason {
    /// Ended with code 0.
    pub const COMPLETED: &str = "Completed";
    /// Ended with another code.
    pub const ERROR: &str = "Error";
    /// The kernel's out-of-memory killer struck in it.
    pub const OOM_KILLED: &str = "OOMKilled";
    /// Its program could not be run.
    pub const START_ERROR: &str = "StartError";
    /// Nobody saw how it ended.
    pub const UNKNOWN: &str = "Unknown";
}

/// Whether a sandbox can run containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    /// It can.
    Ready,
    /// It was stopped, or its monitor died.
    NotReady,
}

/// A sandbox as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxStatus {
    /// Its id.
    pub id: String,
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How many sandboxes the pod had before this one.
    pub attempt: u32,
    /// Whether it can run containers.
    pub state: SandboxState,
    /// When it was made, nanoseconds since 1970.
    pub created_ns: i64,
    /// Path of its network namespace; `None` when it uses the host's.
    pub netns: Option<PathBuf>,
    /// Cgroup of the pod.
    pub cgroup_parent: String,
    /// As in its configuration.
    pub labels: BTreeMap<String, String>,
    /// As in its configuration.
    pub annotations: BTreeMap<String, String>,
    /// Process id of its monitor; `None` when that is gone.
    pub monitor_pid: Option<i32>,
}

/// Life of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContainerState {
    /// Not started yet.
    Created,
    /// Its process lives.
    Running,
    /// Its process ended, or could not be started.
    Exited,
    /// Cannot be told.
    Unknown,
}

/// A container as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its id.
    pub id: String,
    /// The sandbox that it is in.
    pub sandbox_id: String,
    /// Its name in the pod.
    pub name: String,
    /// How many containers of this name the pod had before.
    pub attempt: u32,
    /// Where it is in its life.
    pub state: ContainerState,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// Nanoseconds since 1970; absent before the start.
    pub started_ns: Option<i64>,
    /// Nanoseconds since 1970; absent before the end.
    pub finished_ns: Option<i64>,
    /// Meaningful when exited; 128 + signal for a killed process.
    pub exit_code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// One of [`reason`] when exited, else empty.
    pub reason: String,
    /// More than the reason can say.
    pub message: String,
    /// The reference that the user wrote.
    pub image: String,
    /// `repository@sha256:…` or the image's id.
    pub image_ref: String,
    /// Process id on the host while running.
    pub pid: Option<i32>,
    /// Full path of its log file.
    pub log_path: Option<PathBuf>,
    /// As in its configuration.
    pub labels: BTreeMap<String, String>,
    /// As in its configuration.
    pub annotations: BTreeMap<String, String>,
    /// The limits in force.
    pub resources: crate::config::Resources,
    /// The user it runs as, known after the start.
    pub user: Option<ContainerUser>,
}

/// The identity of a container's first process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUser {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplemental groups.
    pub supplemental_groups: Vec<u32>,
}

/// Which sandboxes a list holds; absent fields match all.
#[derive(Clone, Debug, Default)]
pub struct SandboxFilter {
    /// Of this id.
    pub id: Option<String>,
    /// In this state.
    pub state: Option<SandboxState>,
    /// With all these labels.
    pub labels: BTreeMap<String, String>,
}

/// Which containers a list holds; absent fields match all.
#[derive(Clone, Debug, Default)]
pub struct ContainerFilter {
    /// Of this id.
    pub id: Option<String>,
    /// In this sandbox.
    pub sandbox_id: Option<String>,
    /// In this state.
    pub state: Option<ContainerState>,
    /// With all these labels.
    pub labels: BTreeMap<String, String>,
}

impl SandboxFilter {
    /// Whether the sandbox is asked for.
    pub fn matches(&self, sandbox: &SandboxStatus) -> bool {
        self.id.as_ref().is_none_or(|id| *id == sandbox.id)
            && self.state.is_none_or(|state| state == sandbox.state)
            && contains(&sandbox.labels, &self.labels)
    }
}

impl ContainerFilter {
    /// Whether the container is asked for.
    pub fn matches(&self, container: &ContainerStatus) -> bool {
        self.id.as_ref().is_none_or(|id| *id == container.id)
            && self
                .sandbox_id
                .as_ref()
                .is_none_or(|id| *id == container.sandbox_id)
            && self.state.is_none_or(|state| state == container.state)
            && contains(&container.labels, &self.labels)
    }
}

fn contains(all: &BTreeMap<String, String>, some: &BTreeMap<String, String>) -> bool {
    some.iter().all(|(key, value)| all.get(key) == Some(value))
}

/// What a container or sandbox uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// When it was read, nanoseconds since 1970.
    pub timestamp_ns: i64,
    /// CPU time used since the start, all cores.
    pub cpu_usage_ns: u64,
    /// All memory charged.
    pub memory_usage_bytes: u64,
    /// Memory that cannot be reclaimed easily: usage less inactive file pages.
    pub memory_working_set_bytes: u64,
    /// Anonymous memory.
    pub memory_rss_bytes: u64,
    /// The limit, if there is one.
    pub memory_limit_bytes: Option<u64>,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that needed the disk.
    pub major_page_faults: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Writable layer; absent for a sandbox.
    pub writable_layer: Option<FsUsage>,
}

/// Space in use of a directory tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsUsage {
    /// Bytes on disk.
    pub used_bytes: u64,
    /// Inodes.
    pub inodes_used: u64,
}

impl FsUsage {
    /// Adds up a tree that may change meanwhile; what disappears is not counted.
    pub fn of(directory: &Path) -> FsUsage {
        let mut total = FsUsage {
            used_bytes: 0,
            inodes_used: 1,
        };
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            total += if metadata.is_dir() {
                FsUsage::of(&entry.path())
            } else {
                FsUsage {
                    used_bytes: metadata.blocks() * 512,
                    inodes_used: 1,
                }
            };
        }
        total
    }
}

impl std::ops::AddAssign for FsUsage {
    fn add_assign(&mut self, more: FsUsage) {
        self.used_bytes += more.used_bytes;
        self.inodes_used += more.inodes_used;
    }
}

/// Who answers, for `containerRuntimeVersion` of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Such as `tiphys`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of the interface, `v1`.
    pub api_version: String,
}

/// Whether the runtime can work at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// `RuntimeReady`: containers can be run.
    pub runtime_ready: bool,
    /// Why not, when not.
    pub message: String,
    /// 1 or 2: the cgroup version in use.
    pub cgroup_version: u8,
}
