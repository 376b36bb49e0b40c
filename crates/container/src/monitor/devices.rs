//! `/dev` of a container, and which devices its cgroup allows.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use linux::cgroup::{Access, DeviceKind, DeviceRule};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::destination::{self, Kind};
use super::rootfs::Result;
use crate::config::ContainerConfig;

/// Devices that every container has, and the numbers of the kernel.
const STANDARD: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Symbolic links that programs expect.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// A device node to make in the container.
#[derive(Clone, Debug)]
pub(super) struct Node {
    path: PathBuf,
    kind: FileType,
    mode: u32,
    owner: (u32, u32),
    device: u64,
}

/// Looks up the host's devices that the container asks for, or all of them when
/// it is privileged. Before the root is changed.
pub(super) fn host_nodes(config: &ContainerConfig) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    if config.security.privileged {
        walk(Path::new("/dev"), &mut nodes);
    }
    for device in &config.devices {
        let describe = || format!("device {}", device.host_path.display());
        let metadata = std::fs::metadata(&device.host_path)
            .map_err(|error| format!("{}: {error}", describe()))?;
        let node = node(&device.container_path, &metadata)
            .ok_or_else(|| format!("{}: not a device node", describe()))?;
        nodes.push(node);
    }
    Ok(nodes)
}

/// What the cgroup allows; `None` for everything.
pub(super) fn rules(config: &ContainerConfig) -> Result<Option<Vec<DeviceRule>>> {
    if config.security.privileged {
        return Ok(None);
    }
    let char = DeviceKind::Char;
    let rule = |major: u32, minor: Option<u32>| DeviceRule {
        kind: char,
        major: Some(major),
        minor,
        access: Access::ALL,
    };
    let make = |kind| DeviceRule {
        kind,
        major: None,
        minor: None,
        access: Access::MKNOD,
    };
    let mut rules = vec![make(char), make(DeviceKind::Block)];
    rules.extend(
        STANDARD
            .iter()
            .map(|(_, major, minor)| rule(*major, Some(*minor))),
    );
    // The console, pseudo-terminals and their multiplexer.
    rules.extend([rule(5, Some(1)), rule(136, None), rule(5, Some(2))]);
    for device in &config.devices {
        let metadata = std::fs::metadata(&device.host_path)
            .map_err(|error| format!("device {}: {error}", device.host_path.display()))?;
        let kind = if metadata.file_type().is_block_device() {
            DeviceKind::Block
        } else {
            char
        };
        rules.push(DeviceRule {
            kind,
            major: Some(rustix::fs::major(metadata.rdev())),
            minor: Some(rustix::fs::minor(metadata.rdev())),
            access: Access::from_letters(&device.permissions),
        });
    }
    Ok(Some(rules))
}

fn walk(directory: &Path, nodes: &mut Vec<Node>) {
    // Of the terminals and shared memory a container has its own.
    const SKIPPED: [&str; 8] = [
        "console", "fd", "mqueue", "ptmx", "pts", "shm", "core", ".lxc",
    ];
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        // What disappears meanwhile is not there.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            walk(&entry.path(), nodes);
        } else {
            nodes.extend(node(&entry.path(), &metadata));
        }
    }
}

fn node(path: &Path, metadata: &std::fs::Metadata) -> Option<Node> {
    let file_type = metadata.file_type();
    let kind = if file_type.is_block_device() {
        FileType::BlockDevice
    } else if file_type.is_char_device() {
        FileType::CharacterDevice
    } else {
        return None;
    };
    Some(Node {
        path: path.to_owned(),
        kind,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        device: metadata.rdev(),
    })
}

/// Fills `/dev` with what every container has.
pub(super) fn make(config: &ContainerConfig) -> Result<()> {
    let own_dev = config
        .mounts
        .iter()
        .any(|mount| mount.container_path == Path::new("/dev"));
    if own_dev {
        return Ok(());
    }
    for (name, major, minor) in STANDARD {
        let node = Node {
            path: Path::new("/dev").join(name),
            kind: FileType::CharacterDevice,
            mode: 0o666,
            owner: (0, 0),
            device: makedev(major, minor),
        };
        make_node(&node)?;
    }
    for (target, path) in LINKS {
        rustix::fs::symlink(target, path).map_err(|error| format!("link {path}: {error}"))?;
    }
    Ok(())
}

/// Makes the nodes that [`host_nodes`] found.
pub(super) fn make_host_nodes(nodes: &[Node]) -> Result<()> {
    nodes.iter().try_for_each(make_node)
}

fn make_node(node: &Node) -> Result<()> {
    let describe = |error: &dyn std::fmt::Display| format!("make {}: {error}", node.path.display());
    let parent = node.path.parent().unwrap_or(Path::new("/"));
    let name = node.path.file_name().ok_or_else(|| describe(&"no name"))?;
    let directory = destination::open(parent, Kind::Directory).map_err(|error| describe(&error))?;
    let mode = Mode::from_raw_mode(node.mode);
    // Everybody may write to /dev/null, whatever the mask of this process,
    // which is alone in it.
    let mask = rustix::process::umask(Mode::empty());
    let made = mknodat(&directory, name, node.kind, mode, node.device);
    rustix::process::umask(mask);
    match made {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        Err(error) => return Err(describe(&error)),
    }
    let (uid, gid) = node.owner;
    let owner = (
        rustix::fs::Uid::from_raw(uid),
        rustix::fs::Gid::from_raw(gid),
    );
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(&directory, name, Some(owner.0), Some(owner.1), flags)
        .map_err(|error| describe(&error))
}

/// `/dev/console` of a container with a terminal is that terminal.
pub(super) fn make_console(slave: &std::os::fd::OwnedFd) -> Result<()> {
    use std::os::fd::AsRawFd as _;
    let describe = |error: &dyn std::fmt::Display| format!("make /dev/console: {error}");
    destination::open(Path::new("/dev/console"), Kind::File).map_err(|error| describe(&error))?;
    let source = format!("/proc/self/fd/{}", slave.as_raw_fd());
    let source =
        rustix::fs::readlinkat(CWD, &source, Vec::new()).map_err(|error| describe(&error))?;
    rustix::mount::mount_bind(source.as_c_str(), "/dev/console").map_err(|error| describe(&error))
}
