//! Volumes: a file per type and one table.
//!
//! Setting up is idempotent and doubles as refreshing: a volume whose sources
//! changed is brought up to date in place. Types that are not in the table are
//! refused by name.

pub mod atomic_writer;
mod config_map;
mod downward_api;
mod empty_dir;
mod host_path;
mod image;
pub mod ownership;
mod projected;
mod secret;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stdx::{Clock, Rng};
use typed::Typed;
use typed::api::core::v1::{Pod, Volume};

use crate::doors::Mounts;
use crate::env::field::{FieldError, NodeFacts};
use crate::objects::{FetchError, Objects};
use crate::pod::spec;
use crate::tokens::{TokenError, Tokens};
use atomic_writer::Payload;

/// A volume cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// This node does not have the type.
    #[error("volume type \"{0}\" is not supported by this node")]
    Type(String),
    /// What the volume asks for cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A path leads out of the volume.
    #[error("invalid path {0:?}: must be relative and must not contain \"..\"")]
    Path(String),
    /// An object cannot be had.
    #[error(transparent)]
    Object(#[from] FetchError),
    /// An object lacks a key.
    #[error("references non-existent {what} key: {key}")]
    Key {
        /// `config` or `secret`.
        what: &'static str,
        /// The key.
        key: String,
    },
    /// A field cannot be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A token cannot be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The file system refused.
    #[error("{operation} {path:?}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl VolumeError {
    /// The file system refused an operation on a path.
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> VolumeError {
        VolumeError::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// What setting up a volume needs.
pub struct Setup<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// ConfigMaps and Secrets.
    pub objects: &'a dyn Objects,
    /// Tokens of service accounts.
    pub tokens: &'a dyn Tokens,
    /// Facts of the node.
    pub node: &'a NodeFacts,
    /// Mounting.
    pub mounts: &'a dyn Mounts,
    /// Time, for names of directories.
    pub clock: &'a Clock,
    /// Randomness, for names of directories.
    pub rng: &'a Rng,
    /// The pod's own directory.
    pub pod_directory: &'a Path,
    /// What was written before.
    pub written: &'a Written,
}

/// What was last written into each volume of a pod, as a number: a volume whose
/// sources are the same needs no look at the disk.
#[derive(Debug, Default)]
pub struct Written(Mutex<BTreeMap<String, u64>>);

impl Written {
    fn numbers(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(payload: &Payload, group: Option<u32>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (payload, group).hash(&mut hasher);
        hasher.finish()
    }
}

impl Setup<'_> {
    /// Where a volume of this plugin lives.
    fn directory(&self, plugin: &dyn Plugin, volume: &Volume) -> PathBuf {
        let plugin = plugin.name().replace('/', "~");
        self.pod_directory
            .join("volumes")
            .join(plugin)
            .join(&volume.name)
    }

    fn fs_group(&self) -> Option<u32> {
        let group = spec(self.pod).security_context.as_ref()?.fs_group?;
        u32::try_from(group).ok()
    }

    /// A directory with files that change all at once, in memory unless on disk.
    fn write(
        &self,
        plugin: &dyn Plugin,
        volume: &Volume,
        payload: &Payload,
        in_memory: bool,
    ) -> Result<PathBuf, VolumeError> {
        let directory = self.directory(plugin, volume);
        let group = self.fs_group();
        let number = Written::number(payload, group);
        if self.written.numbers().get(&volume.name) == Some(&number) {
            return Ok(directory);
        }
        make(&directory)?;
        if in_memory {
            let mounted = self
                .mounts
                .is_mounted(&directory)
                .map_err(|error| VolumeError::io("inspect", &directory, error))?;
            if !mounted {
                self.mounts
                    .tmpfs(&directory, None, 0o777)
                    .map_err(|error| VolumeError::io("mount tmpfs at", &directory, error))?;
            }
        }
        let dated = self.dated();
        atomic_writer::write(&directory, payload, &dated, group)?;
        if let Some(group) = group {
            ownership::own_top(&directory, group)
                .map_err(|error| VolumeError::io("change owner of", &directory, error))?;
        }
        self.written.numbers().insert(volume.name.clone(), number);
        Ok(directory)
    }

    /// A directory name with the time and a number, as upstream has it.
    fn dated(&self) -> String {
        let time = stdx::format_seconds(self.clock.wall());
        let time = time.trim_end_matches('Z').replace(['-', 'T', ':'], "_");
        format!("..{time}.{}", self.rng.below(u64::from(u32::MAX)))
    }
}

/// Knows one type of volume.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Such as `kubernetes.io/secret`.
    fn name(&self) -> &'static str;

    /// Whether the volume is of this type.
    fn knows(&self, volume: &Volume) -> bool;

    /// Sets up or refreshes the volume; returns where it is.
    async fn set_up(&self, volume: &Volume, setup: &Setup<'_>) -> Result<PathBuf, VolumeError>;
}

/// All types, alphabetically.
pub const PLUGINS: [&dyn Plugin; 7] = [
    &config_map::ConfigMapVolume,
    &downward_api::DownwardApiVolume,
    &empty_dir::EmptyDirVolume,
    &host_path::HostPathVolume,
    &image::ImageVolume,
    &projected::ProjectedVolume,
    &secret::SecretVolume,
];

/// The plugin of a volume.
pub fn plugin(volume: &Volume) -> Result<&'static dyn Plugin, VolumeError> {
    let found = PLUGINS.into_iter().find(|plugin| plugin.knows(volume));
    found.ok_or_else(|| VolumeError::Type(type_name(volume)))
}

/// The name of a volume's type, for a refusal.
fn type_name(volume: &Volume) -> String {
    let known: [(bool, &str); 7] = [
        (
            volume.persistent_volume_claim.is_some(),
            "persistentVolumeClaim",
        ),
        (volume.csi.is_some(), "csi"),
        (volume.ephemeral.is_some(), "ephemeral"),
        (volume.nfs.is_some(), "nfs"),
        (volume.iscsi.is_some(), "iscsi"),
        (volume.fc.is_some(), "fc"),
        (volume.git_repo.is_some(), "gitRepo"),
    ];
    let found = known.into_iter().find(|(present, _)| *present);
    found.map_or("unknown", |(_, name)| name).to_owned()
}

/// Where the volumes of a pod are, by name.
pub type Mounted = BTreeMap<String, PathBuf>;

/// Sets up all volumes; the first refusal of each is reported.
pub async fn set_up_all(setup: &Setup<'_>) -> (Mounted, Vec<(String, VolumeError)>) {
    let (mut mounted, mut failed) = (Mounted::new(), Vec::new());
    for volume in spec(setup.pod).volumes.iter().flatten() {
        let result = match plugin(volume) {
            Ok(plugin) => plugin.set_up(volume, setup).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(path) => {
                mounted.insert(volume.name.clone(), path);
            }
            Err(error) => failed.push((volume.name.clone(), error)),
        }
    }
    (mounted, failed)
}

/// Unmounts everything below a pod's directory and removes the directory.
pub fn tear_down(mounts: &dyn Mounts, pod_directory: &Path) -> Result<(), VolumeError> {
    if !pod_directory.exists() {
        return Ok(());
    }
    let below = mounts
        .below(pod_directory)
        .map_err(|error| VolumeError::io("list mounts below", pod_directory, error))?;
    for point in below {
        mounts
            .unmount(&point)
            .map_err(|error| VolumeError::io("unmount", &point, error))?;
    }
    // Never walk into a file system that would not let go.
    let left = mounts
        .below(pod_directory)
        .map_err(|error| VolumeError::io("list mounts below", pod_directory, error))?;
    if let Some(point) = left.first() {
        return Err(VolumeError::io(
            "unmount",
            point,
            io::ErrorKind::ResourceBusy.into(),
        ));
    }
    match fs::remove_dir_all(pod_directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VolumeError::io("remove", pod_directory, error))
        }
        _ => Ok(()),
    }
}

fn make(directory: &Path) -> Result<(), VolumeError> {
    fs::create_dir_all(directory).map_err(|error| VolumeError::io("create", directory, error))
}

/// Chooses among the keys of an object and gives each its path and mode.
fn project<'a>(
    data: impl Fn(&str) -> Option<&'a [u8]>,
    all: impl Iterator<Item = (&'a String, &'a [u8])>,
    items: Option<&[typed::api::core::v1::KeyToPath]>,
    default_mode: i32,
    optional: bool,
    what: &'static str,
) -> Result<Payload, VolumeError> {
    let file = |data: &[u8], mode: i32| atomic_writer::File {
        data: data.to_vec(),
        mode: u32::try_from(mode).unwrap_or(0o644),
        user: None,
    };
    let items = items.unwrap_or_default();
    if items.is_empty() {
        return Ok(all
            .map(|(key, data)| (PathBuf::from(key), file(data, default_mode)))
            .collect());
    }
    let mut payload = Payload::new();
    for item in items {
        match data(&item.key) {
            Some(data) => {
                let mode = item.mode.unwrap_or(default_mode);
                payload.insert(PathBuf::from(&item.path), file(data, mode));
            }
            None if optional => {}
            None => {
                let key = item.key.clone();
                return Err(VolumeError::Key { what, key });
            }
        }
    }
    Ok(payload)
}

/// Whose files the pod's own user may read: the one user of all its containers.
fn only_user(pod: &Pod) -> Option<u32> {
    let of_pod = spec(pod)
        .security_context
        .as_ref()
        .and_then(|context| context.run_as_user);
    let mut users = crate::pod::containers(pod).map(|(_, container)| {
        let own = container
            .security_context
            .as_ref()
            .and_then(|context| context.run_as_user);
        own.or(of_pod)
    });
    let first = users.next()??;
    users
        .all(|user| user == Some(first))
        .then(|| u32::try_from(first).ok())?
}

/// For messages: which pod.
fn whose(pod: &Pod) -> String {
    pod.key()
}

#[cfg(test)]
mod tests;
