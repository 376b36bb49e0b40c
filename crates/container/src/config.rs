//! What a sandbox and a container are asked to be: plain values, serialisable,
//! shaped as the messages of the Container Runtime Interface.
//!
//! Follows staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that the containers of one pod share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxConfig {
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How many sandboxes the pod had before this one.
    pub attempt: u32,
    /// Host name inside the sandbox; empty leaves that of the host (hostNetwork).
    pub hostname: String,
    /// Where container logs are written; `log_path` of a container is below it.
    pub log_directory: Option<PathBuf>,
    /// Contents of `/etc/resolv.conf`; `None` copies the host's.
    pub dns: Option<DnsConfig>,
    /// Ports of the host that lead to the pod. Recorded, not programmed, here.
    pub port_mappings: Vec<PortMapping>,
    /// Selectable marks.
    pub labels: BTreeMap<String, String>,
    /// Other marks.
    pub annotations: BTreeMap<String, String>,
    /// Cgroup of the pod, absolute below each hierarchy's root, such as
    /// `/tiphys-a/kubepods/burstable/pod1234`; made when absent.
    pub cgroup_parent: String,
    /// Which namespaces are the pod's and which the host's.
    pub namespaces: SandboxNamespaces,
    /// Kernel parameters set in the sandbox's own namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the pod as a whole, written to `cgroup_parent` when present.
    pub resources: Option<Resources>,
    /// Whether a privileged container may be started in it.
    pub privileged: bool,
    /// Runtime handler (RuntimeClass); only the empty one is known here.
    pub runtime_handler: String,
}

/// Namespaces of a sandbox. By default the network and IPC are the pod's and
/// each container has processes of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxNamespaces {
    /// `Pod` or `Node` (hostNetwork).
    pub network: NamespaceMode,
    /// `Container` (each its own), `Pod` (shareProcessNamespace) or `Node` (hostPID).
    pub pid: NamespaceMode,
    /// `Pod` or `Node` (hostIPC).
    pub ipc: NamespaceMode,
    /// An existing network namespace to join. `None` makes a new one, pinned at
    /// the path that `SandboxStatus::netns` tells.
    pub netns: Option<PathBuf>,
}

impl Default for SandboxNamespaces {
    fn default() -> SandboxNamespaces {
        SandboxNamespaces {
            network: NamespaceMode::Pod,
            pid: NamespaceMode::Container,
            ipc: NamespaceMode::Pod,
            netns: None,
        }
    }
}

/// Whose namespace a process lives in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// Shared by the containers of the pod.
    #[default]
    Pod,
    /// One of the container alone.
    Container,
    /// The host's.
    Node,
    /// That of another container of the same sandbox, by id (ephemeral containers).
    Target(String),
}

/// Contents of a `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsConfig {
    /// `nameserver` lines.
    pub servers: Vec<String>,
    /// The `search` line.
    pub searches: Vec<String>,
    /// The `options` line.
    pub options: Vec<String>,
}

/// A port of the host that leads into the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// Port inside the pod.
    pub container_port: u16,
    /// Port on the host; 0 for none.
    pub host_port: u16,
    /// Address of the host; empty for all.
    pub host_ip: String,
}

/// One container: an attempt at running an image in a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// The container's name in the pod.
    pub name: String,
    /// How many containers of this name the pod had before.
    pub attempt: u32,
    /// What it runs.
    pub image: Image,
    /// Replaces the image's entrypoint (and drops its arguments) when not empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments when not empty.
    pub args: Vec<String>,
    /// Replaces the image's working directory when not empty.
    pub working_dir: String,
    /// Added to the image's environment; later ones win.
    pub env: Vec<EnvVar>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Devices of the host made visible.
    pub devices: Vec<Device>,
    /// Limits.
    pub resources: Resources,
    /// Who it runs as and what it may do.
    pub security: SecurityContext,
    /// Whether standard input stays open for attach.
    pub stdin: bool,
    /// Whether standard input closes when the first attached client leaves.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Signal that asks it to end, such as `SIGTERM`; empty takes the image's.
    pub stop_signal: String,
    /// Log file, relative to the sandbox's `log_directory`; `None` drops output.
    pub log_path: Option<PathBuf>,
    /// Selectable marks.
    pub labels: BTreeMap<String, String>,
    /// Other marks.
    pub annotations: BTreeMap<String, String>,
    /// Process namespace of this container when it differs from the sandbox's.
    pub pid: Option<NamespaceMode>,
}

/// An image as a container needs it: its layers and the defaults of its config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// The reference that the user wrote.
    pub reference: String,
    /// The image's id (digest of its config), `sha256:…`.
    pub id: String,
    /// `repository@sha256:…`, for `imageID` of the container status.
    pub repo_digest: String,
    /// The layers.
    pub rootfs: RootFs,
    /// What the image says when the container's configuration is silent.
    pub defaults: ImageDefaults,
}

/// The layers of a root file system. The writable one is the runtime's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// Read-only directories in overlayfs form, topmost first.
    pub lower: Vec<PathBuf>,
}

/// The image configuration's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageDefaults {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Env`, each `NAME=value`.
    pub env: Vec<String>,
    /// `WorkingDir`.
    pub working_dir: String,
    /// `User`: `user[:group]`, names or numbers.
    pub user: String,
    /// `StopSignal`.
    pub stop_signal: String,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A file or directory of the host seen in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where in the container, absolute. A missing mount point is made.
    pub container_path: PathBuf,
    /// What of the host; must exist.
    pub host_path: PathBuf,
    /// What below `host_path`, relative; followed without leaving it, whatever
    /// links a container may have put there, and made as a directory when absent.
    pub sub_path: Option<PathBuf>,
    /// No writing through it.
    pub readonly: bool,
    /// No writing through mounts below it either; needs `readonly`.
    pub recursive_readonly: bool,
    /// Whether mounts made later pass through.
    pub propagation: MountPropagation,
}

/// How mounts made after the container's start pass through a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountPropagation {
    /// Neither way (`None`).
    #[default]
    Private,
    /// The host's are seen in the container.
    HostToContainer,
    /// Both see the other's.
    Bidirectional,
}

/// A device node of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Its path on the host.
    pub host_path: PathBuf,
    /// Its path in the container.
    pub container_path: PathBuf,
    /// Letters of `rwm`.
    pub permissions: String,
}

/// Limits of a container or pod. `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory, and on cgroup v1 memory with swap, in bytes.
    pub memory_limit_bytes: Option<i64>,
    /// Memory and swap together, in bytes; absent means no swap when memory is limited.
    pub memory_swap_limit_bytes: Option<i64>,
    /// Relative weight, 1024 per core.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU per period; -1 lifts the limit.
    pub cpu_quota_us: Option<i64>,
    /// The period in microseconds; 100,000 when absent.
    pub cpu_period_us: Option<u64>,
    /// Processes and threads.
    pub pids_limit: Option<i64>,
    /// CPUs such as `0-1`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Huge page size such as `2MB` to limit in bytes.
    pub hugepage_limits: BTreeMap<String, u64>,
    /// Preference of the out-of-memory killer, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Files of cgroup v2 written as they stand, such as `memory.oom.group`.
    pub unified: BTreeMap<String, String>,
}

/// Who a container runs as and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityContext {
    /// Numeric user; wins over `username`.
    pub run_as_user: Option<i64>,
    /// User by name, looked up in the image.
    pub run_as_username: Option<String>,
    /// Numeric primary group.
    pub run_as_group: Option<i64>,
    /// More groups (fsGroup among them).
    pub supplemental_groups: Vec<i64>,
    /// Whether the image's groups of the user are added.
    pub supplemental_groups_policy: SupplementalGroupsPolicy,
    /// Capabilities added to the default, names without `CAP_`, or `ALL`.
    pub add_capabilities: Vec<String>,
    /// Capabilities taken from the default, names without `CAP_`, or `ALL`.
    pub drop_capabilities: Vec<String>,
    /// All capabilities, all devices, nothing masked.
    pub privileged: bool,
    /// The root file system cannot be written.
    pub readonly_rootfs: bool,
    /// setuid programs and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// What of `/proc` and `/sys` is hidden or read-only.
    pub proc_mount: ProcMount,
}

/// Where supplemental groups come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SupplementalGroupsPolicy {
    /// Those asked for and those of the image.
    #[default]
    Merge,
    /// Only those asked for.
    Strict,
}

/// System call filter of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// The profile of this runtime.
    RuntimeDefault,
    /// None, which is also what CRI means by an absent profile.
    #[default]
    Unconfined,
    /// A profile file of the host, in Docker's JSON form.
    Localhost(PathBuf),
}

/// Masking of `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcMount {
    /// The usual masked and read-only paths.
    #[default]
    Default,
    /// None of them.
    Unmasked,
}

impl Resources {
    /// Takes what `newer` says and keeps the rest.
    pub fn merge(&mut self, newer: Resources) {
        fn take<T>(field: &mut Option<T>, newer: Option<T>) {
            if newer.is_some() {
                *field = newer;
            }
        }
        take(&mut self.memory_limit_bytes, newer.memory_limit_bytes);
        take(
            &mut self.memory_swap_limit_bytes,
            newer.memory_swap_limit_bytes,
        );
        take(&mut self.cpu_shares, newer.cpu_shares);
        take(&mut self.cpu_quota_us, newer.cpu_quota_us);
        take(&mut self.cpu_period_us, newer.cpu_period_us);
        take(&mut self.pids_limit, newer.pids_limit);
        take(&mut self.cpuset_cpus, newer.cpuset_cpus);
        take(&mut self.cpuset_mems, newer.cpuset_mems);
        take(&mut self.oom_score_adj, newer.oom_score_adj);
        self.hugepage_limits.extend(newer.hugepage_limits);
        self.unified.extend(newer.unified);
    }
}
