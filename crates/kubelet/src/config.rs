//! What the binary tells the kubelet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::eviction::threshold::Eviction;
use crate::image_gc::Policy;
use crate::resources::Amounts;

/// The configuration of one kubelet.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// The host name, for the node's addresses; the node's name if empty.
    pub hostname: String,
    /// The node's addresses, the first one first; never loopback.
    pub node_ips: Vec<String>,
    /// Labels that the node registers with, besides the well-known.
    pub node_labels: BTreeMap<String, String>,
    /// Taints that the node registers with, as `key=value:Effect`.
    pub node_taints: Vec<String>,
    /// The directory of pods' volumes and files.
    pub root: PathBuf,
    /// The directory of pods' logs.
    pub log_root: PathBuf,
    /// Where the images are, for disk pressure.
    pub image_root: PathBuf,
    /// When unused images go.
    pub image_gc: Policy,
    /// When and how pods are evicted.
    pub eviction: Eviction,
    /// The cgroup of this cluster, such as `/tiphys-a`; `kubepods` is below.
    pub cgroup_root: String,
    /// The most pods at a time.
    pub pods_max: u32,
    /// The most processes of a pod.
    pub pod_pids_limit: Option<i64>,
    /// Kept back from pods.
    pub reserved: Amounts,
    /// Addresses of the cluster's name servers.
    pub cluster_dns: Vec<String>,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// The node's `resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Directory of seccomp profiles that pods name.
    pub seccomp_profile_root: PathBuf,
    /// Use RuntimeDefault where a pod names no seccomp profile.
    pub seccomp_default: bool,
    /// Sysctls beyond the safe ones that pods may set; a trailing `*` matches any rest.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// The port of the HTTPS door, for the node's status.
    pub port: u16,
    /// Version that the node reports, such as `v1.37.0+tiphys`.
    pub version: String,
    /// Size at which a container's log is rotated.
    pub container_log_max_size: u64,
    /// Files that are kept of a container's log, the open one included.
    pub container_log_max_files: u32,
    /// Whether the kubelet registers the node.
    pub register_node: bool,
    /// How long streaming connections may be silent; without end if zero.
    pub streaming_idle_timeout: Duration,
}

impl Config {
    /// Upstream's defaults for a node of this name with its data below `root`.
    pub fn new(node_name: &str, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            node_name: node_name.to_owned(),
            hostname: node_name.to_owned(),
            node_ips: Vec::new(),
            node_labels: BTreeMap::new(),
            node_taints: Vec::new(),
            log_root: root.join("logs"),
            image_root: root.clone(),
            image_gc: Policy::default(),
            eviction: Eviction::default(),
            cgroup_root: format!("/tiphys-{node_name}"),
            seccomp_profile_root: root.join("seccomp"),
            root,
            pods_max: 110,
            pod_pids_limit: None,
            reserved: Amounts::new(),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            seccomp_default: true,
            allowed_unsafe_sysctls: Vec::new(),
            port: 10250,
            version: "v1.37.0+tiphys".to_owned(),
            container_log_max_size: 10 << 20,
            container_log_max_files: 5,
            register_node: true,
            streaming_idle_timeout: Duration::from_secs(4 * 3600),
        }
    }

    /// The directory of a pod's volumes and files.
    pub fn pod_directory(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    /// The cgroup above all pods.
    pub fn kubepods(&self) -> String {
        format!("{}/kubepods", self.cgroup_root.trim_end_matches('/'))
    }
}
