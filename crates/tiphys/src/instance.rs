//! What one server is called on this machine, and where its things are. State
//! lives below the data directory; what must live elsewhere (links, tables,
//! cgroups, sockets) carries the instance's name, so that two servers can
//! share a machine.

use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Where data is kept when nobody says.
pub const DATA_DIR: &str = "/var/lib/tiphys";

/// Where registries are described when nobody says.
pub const REGISTRIES: &str = "/etc/tiphys/registries.yaml";

/// One server and its places.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The name: eight hexadecimal digits that follow from the data directory.
    pub name: String,
    /// The data directory.
    pub data: PathBuf,
}

impl Instance {
    /// The instance of a data directory.
    pub fn of(data: &Path) -> Self {
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
        let digest = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
        let name = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        Instance {
            name,
            data: absolute,
        }
    }

    /// The server's log.
    pub fn store(&self) -> PathBuf {
        self.data.join("server/db")
    }

    /// Keys and certificates.
    pub fn tls(&self) -> PathBuf {
        self.data.join("server/tls")
    }

    /// The image store.
    pub fn images(&self) -> PathBuf {
        self.data.join("agent/images")
    }

    /// Images that are imported at start.
    pub fn image_imports(&self) -> PathBuf {
        self.data.join("images")
    }

    /// What the cluster shall be, as files.
    pub fn manifests(&self) -> PathBuf {
        self.data.join("manifests")
    }

    /// Volumes and logs of pods.
    pub fn kubelet(&self) -> PathBuf {
        self.data.join("agent/kubelet")
    }

    /// Writable layers.
    pub fn containers(&self) -> PathBuf {
        self.data.join("agent/containers")
    }

    /// Addresses of pods.
    pub fn network(&self) -> PathBuf {
        self.data.join("agent/network")
    }

    /// Sockets, namespaces and records that need not outlive the machine.
    pub fn run(&self) -> PathBuf {
        PathBuf::from("/run/tiphys").join(&self.name)
    }

    /// The cgroup below which everything of this instance runs.
    pub fn cgroup(&self) -> String {
        format!("/tiphys-{}", self.name)
    }
}
