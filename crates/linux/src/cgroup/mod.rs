//! Control groups of version 1, version 2, and both at once (hybrid).
//!
//! A [`Group`] is one path in every hierarchy that the machine has. In hybrid
//! mode the limits are version 1's, and the unified hierarchy is used for what
//! only it can do: killing a group at once.

mod devices;
mod files;
mod limits;
mod stats;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub use devices::{Access, DeviceKind, DeviceRule};
pub use limits::Limits;
pub use stats::Usage;

use serde::{Deserialize, Serialize};

use crate::process;
use files::{read, write};

/// A failed operation on a control group.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine has no control groups where they are looked for.
    #[error("no cgroup hierarchy with a memory controller is mounted")]
    NotMounted,
    /// The mount table could not be read.
    #[error("cannot read the mount table")]
    MountTable(#[source] io::Error),
    /// A path that leaves its root.
    #[error("invalid cgroup path {0:?}")]
    Path(String),
    /// A file or directory of a hierarchy refused.
    #[error("cannot {operation} {path:?}")]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// This machine's hierarchies do not have it.
    #[error("cgroup: {0} is not supported on this machine")]
    Unsupported(String),
    /// The device filter of version 2 could not be loaded.
    #[error("cannot load the device filter of cgroup {path:?}")]
    DeviceFilter {
        /// The group.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// The hierarchies of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    v1: Vec<Hierarchy>,
    /// Version 2: the only hierarchy, or the one beside those of version 1.
    unified: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hierarchy {
    controllers: Vec<String>,
    root: PathBuf,
}

/// One path in all hierarchies. A value: nothing exists until [`Group::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    cgroups: Cgroups,
    path: PathBuf,
}

impl Cgroups {
    /// Finds what is mounted.
    pub fn detect() -> Result<Cgroups> {
        let table = crate::mount::table().map_err(Error::MountTable)?;
        let mut found = Cgroups {
            v1: Vec::new(),
            unified: None,
        };
        for mount in table {
            match mount.fs_type.as_str() {
                "cgroup" => found.add_v1(&mount.options, mount.mount_point),
                "cgroup2" if found.unified.is_none() => found.unified = Some(mount.mount_point),
                _ => {}
            }
        }
        let memory = found.v1_root("memory").is_some();
        if memory {
            return Ok(found);
        }
        // Leftover hierarchies of version 1 without controllers do not count.
        found.v1.clear();
        let root = found.unified.as_deref().ok_or(Error::NotMounted)?;
        let controllers = read(&root.join("cgroup.controllers"))?;
        if controllers.split_whitespace().any(|name| name == "memory") {
            Ok(found)
        } else {
            Err(Error::NotMounted)
        }
    }

    /// Version 2 alone, mounted at `root`, whatever controllers it has.
    pub fn version_2(root: PathBuf) -> Cgroups {
        Cgroups {
            v1: Vec::new(),
            unified: Some(root),
        }
    }

    fn add_v1(&mut self, options: &str, root: PathBuf) {
        const KNOWN: [&str; 11] = [
            "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory",
            "net_cls", "net_prio", "pids",
        ];
        let known = |option: &&str| KNOWN.contains(option) || option.starts_with("name=");
        let controllers: Vec<_> = options
            .split(',')
            .filter(known)
            .map(str::to_owned)
            .collect();
        let same = |one: &Hierarchy| one.controllers == controllers;
        if !controllers.is_empty() && !self.v1.iter().any(same) {
            self.v1.push(Hierarchy { controllers, root });
        }
    }

    /// 1 or 2: whose limits are in force.
    pub fn version(&self) -> u8 {
        if self.v1.is_empty() { 2 } else { 1 }
    }

    /// The group at an absolute path below every root.
    pub fn group(&self, path: &str) -> Result<Group> {
        let relative = path.trim_matches('/');
        let sound = !relative.is_empty()
            && relative
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..");
        if !sound {
            return Err(Error::Path(path.to_owned()));
        }
        Ok(Group {
            cgroups: self.clone(),
            path: PathBuf::from(relative),
        })
    }

    fn v1_root(&self, controller: &str) -> Option<&Path> {
        let has = |one: &&Hierarchy| one.controllers.iter().any(|name| name == controller);
        self.v1.iter().find(has).map(|one| one.root.as_path())
    }
}

impl Group {
    /// The group below this one.
    pub fn child(&self, name: &str) -> Result<Group> {
        self.cgroups
            .group(&format!("{}/{name}", self.path.display()))
    }

    /// Its path below the roots, with a leading slash.
    pub fn path(&self) -> String {
        format!("/{}", self.path.display())
    }

    /// 1 or 2: whose limits are in force.
    pub fn version(&self) -> u8 {
        self.cgroups.version()
    }

    /// Makes it and what lies above it, in all hierarchies.
    pub fn create(&self) -> Result<()> {
        for hierarchy in &self.cgroups.v1 {
            let cpuset = hierarchy.controllers.iter().any(|name| name == "cpuset");
            self.create_v1(&hierarchy.root, cpuset)?;
        }
        match &self.cgroups.unified {
            Some(root) if self.cgroups.v1.is_empty() => self.create_v2(root),
            Some(root) => make_all(&root.join(&self.path)),
            None => Ok(()),
        }
    }

    fn create_v1(&self, root: &Path, cpuset: bool) -> Result<()> {
        if !cpuset {
            return make_all(&root.join(&self.path));
        }
        // A new cpuset is empty and takes no process until it has what its parent has.
        let mut parent = root.to_owned();
        for part in &self.path {
            let directory = parent.join(part);
            files::make(&directory)?;
            // Another process may have made it and not have come this far.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if read(&directory.join(file))?.trim().is_empty() {
                    write(&directory.join(file), read(&parent.join(file))?.trim())?;
                }
            }
            parent = directory;
        }
        Ok(())
    }

    fn create_v2(&self, root: &Path) -> Result<()> {
        let mut parent = root.to_owned();
        for part in &self.path {
            delegate(&parent)?;
            parent.push(part);
            files::make(&parent)?;
        }
        Ok(())
    }

    /// Whether it exists in any hierarchy.
    pub fn exists(&self) -> bool {
        self.directories().any(|directory| directory.is_dir())
    }

    /// Moves a process into it.
    pub fn attach(&self, pid: i32) -> Result<()> {
        self.directories()
            .try_for_each(|directory| write(&directory.join("cgroup.procs"), &pid.to_string()))
    }

    /// Moves a process into those hierarchies that [`Group::open_unified`] does
    /// not cover.
    pub fn attach_v1(&self, pid: i32) -> Result<()> {
        self.cgroups.v1.iter().try_for_each(|one| {
            write(
                &one.root.join(&self.path).join("cgroup.procs"),
                &pid.to_string(),
            )
        })
    }

    /// An open directory of the unified hierarchy, into which a process can be born.
    pub fn open_unified(&self) -> Result<Option<OwnedFd>> {
        let Some(path) = self.unified() else {
            return Ok(None);
        };
        let file = std::fs::File::open(&path).map_err(|source| Error::File {
            operation: "open",
            path,
            source,
        })?;
        Ok(Some(file.into()))
    }

    /// The processes in it and below it.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let Some(directory) = self.main() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        collect(&directory, &mut found)?;
        Ok(found)
    }

    /// Sends SIGKILL to everything in it and below it. Ended processes have still
    /// to be reaped by their parents.
    pub fn kill(&self) -> Result<()> {
        let at_once = self
            .unified()
            .map(|directory| directory.join("cgroup.kill"));
        if at_once.is_some_and(|file| file.exists() && write(&file, "1").is_ok()) {
            return Ok(());
        }
        let freezer = self
            .v1("freezer")
            .map(|directory| directory.join("freezer.state"));
        let freezer = freezer.filter(|file| file.exists());
        // Frozen, they cannot fork away from the list. Where freezing fails, killing goes on.
        if let Some(file) = &freezer {
            let _ = write(file, "FROZEN");
        }
        let result = self.processes().map(|pids| {
            for pid in pids {
                // It may have ended by itself.
                let _ = process::kill(pid, libc::SIGKILL);
            }
        });
        if let Some(file) = &freezer {
            write(file, "THAWED")?;
        }
        result
    }

    /// Sends a signal to every process in it and below it.
    pub fn signal(&self, signal: i32) -> Result<()> {
        for pid in self.processes()? {
            // It may have ended by itself.
            let _ = process::kill(pid, signal);
        }
        Ok(())
    }

    /// Removes it and the groups below it, in all hierarchies. Fails while
    /// processes are in it; absent is fine.
    pub fn remove(&self) -> Result<()> {
        self.directories()
            .try_for_each(|directory| files::remove_tree(&directory))
    }

    /// Directories by controllers, for showing them inside a container: the name
    /// below `/sys/fs/cgroup` (empty for version 2) and the host's path.
    pub fn views(&self) -> Vec<(String, PathBuf)> {
        if self.cgroups.v1.is_empty() {
            return self
                .unified()
                .map(|path| (String::new(), path))
                .into_iter()
                .collect();
        }
        let view = |one: &Hierarchy| {
            let joined = one.controllers.join(",");
            let name = joined.strip_prefix("name=").unwrap_or(&joined).to_owned();
            (name, one.root.join(&self.path))
        };
        self.cgroups.v1.iter().map(view).collect()
    }

    fn v1(&self, controller: &str) -> Option<PathBuf> {
        self.cgroups
            .v1_root(controller)
            .map(|root| root.join(&self.path))
    }

    fn unified(&self) -> Option<PathBuf> {
        self.cgroups
            .unified
            .as_ref()
            .map(|root| root.join(&self.path))
    }

    /// The directory whose `cgroup.procs` is believed.
    fn main(&self) -> Option<PathBuf> {
        let v1 = || self.cgroups.v1.first().map(|one| one.root.join(&self.path));
        self.v1("pids")
            .or_else(|| self.v1("memory"))
            .or_else(v1)
            .or_else(|| self.unified())
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let v1 = self.cgroups.v1.iter().map(|one| one.root.join(&self.path));
        v1.chain(self.unified())
    }
}

fn make_all(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|source| Error::File {
        operation: "create",
        path: directory.to_owned(),
        source,
    })
}

/// Lets the groups below a directory of version 2 have all of its controllers.
fn delegate(directory: &Path) -> Result<()> {
    let available = read(&directory.join("cgroup.controllers"))?;
    let enabled = read(&directory.join("cgroup.subtree_control"))?;
    for controller in available.split_whitespace() {
        if !enabled.split_whitespace().any(|name| name == controller) {
            // A controller that cannot be delegated is missed when a limit needs it.
            let _ = write(
                &directory.join("cgroup.subtree_control"),
                &format!("+{controller}"),
            );
        }
    }
    Ok(())
}

fn collect(directory: &Path, found: &mut Vec<i32>) -> Result<()> {
    let text = match read(&directory.join("cgroup.procs")) {
        Ok(text) => text,
        Err(Error::File { source, .. }) if files::is_gone(&source) => return Ok(()),
        Err(error) => return Err(error),
    };
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for below in files::directories(directory)? {
        collect(&below, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
