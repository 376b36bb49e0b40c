//! An image as its users see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, document::Configuration};

/// An image that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// Its names with tags, sorted.
    pub repo_tags: Vec<String>,
    /// Its names with digests, sorted.
    pub repo_digests: Vec<String>,
    /// Bytes that it takes on disk, layers shared with others included.
    pub size: u64,
    /// Whether it must not be removed to make room.
    pub pinned: bool,
    /// How its containers start.
    pub settings: Settings,
    /// The chain IDs of its layers, lowest first.
    pub chain: Vec<Digest>,
}

impl Image {
    /// What a container's status names as its image: a name with a digest
    /// where there is one, else the ID.
    ///
    /// Follows toKubeContainerImageSpec's callers in
    /// pkg/kubelet/kuberuntime/kuberuntime_container.go.
    pub fn image_ref(&self) -> String {
        match self.repo_digests.first() {
            Some(digest) => digest.clone(),
            None => self.id.to_string(),
        }
    }
}

/// What the configuration of an image says about its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// As GOARCH has it.
    pub architecture: String,
    /// As GOOS has it.
    pub os: String,
    /// When it was built, in RFC 3339.
    pub created: String,
    /// User and group, by name or number: `user[:group]`.
    pub user: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// The command's unchanging part.
    pub entrypoint: Vec<String>,
    /// The command's changeable part.
    pub cmd: Vec<String>,
    /// Where it starts.
    pub working_dir: String,
    /// Directories that hold data.
    pub volumes: Vec<String>,
    /// `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// The signal that ends it, such as `SIGQUIT`; empty for SIGTERM.
    pub stop_signal: String,
    /// Remarks.
    pub labels: BTreeMap<String, String>,
}

impl From<&Configuration> for Settings {
    fn from(configuration: &Configuration) -> Self {
        let execution = configuration.config.clone();
        Self {
            architecture: configuration.platform.architecture.clone(),
            os: configuration.platform.os.clone(),
            created: configuration.created.clone(),
            user: execution.user,
            env: execution.env,
            entrypoint: execution.entrypoint,
            cmd: execution.cmd,
            working_dir: execution.working_dir,
            volumes: execution.volumes.into_keys().collect(),
            exposed_ports: execution.exposed_ports.into_keys().collect(),
            stop_signal: execution.stop_signal,
            labels: execution.labels,
        }
    }
}
