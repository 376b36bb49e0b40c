//! Where a sandbox and its containers keep their files.
//!
//! Below the run directory, which need not survive a reboot, each sandbox has a
//! directory with its configuration, its monitor's socket, its pinned network
//! namespace and a directory for each container. Writable layers lie below the
//! data directory. Files are replaced whole by a rename, so that whoever reads
//! one after a crash finds the old or the new contents.

use std::io;
use std::path::{Path, PathBuf};

use linux::cgroup::Cgroups;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::config::{ContainerConfig, SandboxConfig};
use crate::error::{Error, Result};
use crate::protocol::Record;

/// A sandbox's directory.
#[derive(Clone, Debug)]
pub struct SandboxDir(pub PathBuf);

/// A container's directory.
#[derive(Clone, Debug)]
pub struct ContainerDir(pub PathBuf);

/// What a sandbox was asked to be: `sandbox.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxFile {
    /// Its id.
    pub id: String,
    /// Its configuration.
    pub config: SandboxConfig,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// The hierarchies that its cgroups are in.
    pub cgroups: Cgroups,
    /// Cgroup of the monitor.
    pub monitor_cgroup: String,
    /// Directory of the writable layers.
    pub data_dir: PathBuf,
    /// The boot it was made in; another one means that nothing of it runs.
    pub boot_id: String,
    /// Set when it was stopped or its monitor died.
    #[serde(default)]
    pub stopped: bool,
}

/// What a container was asked to be: `config.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerFile {
    /// Its id.
    pub id: String,
    /// Its configuration.
    pub config: ContainerConfig,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
}

impl SandboxDir {
    /// `sandbox.json`, a [`SandboxFile`].
    pub fn file(&self) -> PathBuf {
        self.0.join("sandbox.json")
    }

    /// The pinned network namespace.
    pub fn netns(&self) -> PathBuf {
        self.0.join("net")
    }

    /// The tmpfs that becomes `/dev/shm`.
    pub fn shm(&self) -> PathBuf {
        self.0.join("shm")
    }

    /// A file made for mounting: `resolv.conf`, `hostname` or `hosts`.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Name of the monitor's socket.
    pub const SOCKET: &'static str = "monitor.sock";

    /// What the monitor complains about.
    pub fn log(&self) -> PathBuf {
        self.0.join("monitor.log")
    }

    /// A container's directory.
    pub fn container(&self, id: &str) -> ContainerDir {
        ContainerDir(self.0.join("containers").join(id))
    }

    /// Ids of the containers that have a directory.
    pub fn containers(&self) -> Result<Vec<String>> {
        subdirectories(&self.0.join("containers"))
    }
}

impl ContainerDir {
    /// `config.json`, a [`ContainerFile`].
    pub fn file(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// `record.json`, a [`Record`].
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// Reads the record; absent means created.
    pub fn read_record(&self, attempt: u32) -> Result<Record> {
        Ok(read_json(&self.record())?.unwrap_or_else(|| Record::created(attempt)))
    }
}

/// Names of the directories in a directory; none when it is absent.
pub fn subdirectories(path: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", path)(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", path))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Writes a file whole. Only root may read it, as it may hold secrets.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|source| Error::Damaged {
        path: path.to_owned(),
        source,
    })?;
    write_whole(path, &bytes, 0o600)
}

/// Writes a file whole, with this mode.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let next = path.with_extension("next");
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&next);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(failed("write", &next))?;
    std::fs::rename(&next, path).map_err(failed("replace", path))
}

/// Reads a file; `None` when it is absent.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path)(source)),
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| Error::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Names an operation on a path for an error.
pub fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io {
        operation,
        path,
        source,
    }
}

/// The kernel's id of the current boot.
pub fn boot_id() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = std::fs::read_to_string(path).map_err(failed("read", path))?;
    Ok(text.trim().to_owned())
}

/// Nanoseconds since 1970.
pub fn wall_ns(clock: &stdx::Clock) -> i64 {
    i64::try_from(clock.wall().as_nanosecond()).unwrap_or(i64::MAX)
}
