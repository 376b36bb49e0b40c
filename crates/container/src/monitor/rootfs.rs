//! What a container sees as its file system.
//!
//! Runs in the new process, in its own mount namespace: the sources of all mounts
//! are first taken hold of while the host is visible, the root is changed, and
//! only then are they put in their places. Every path of the container is
//! therefore resolved in the container's root, and a symbolic link of an image
//! cannot lead out of it. Nothing is mounted that the host can see, so nothing is
//! left behind when the container ends, however it ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use linux::mount::{self, Attributes};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, move_mount, open_tree,
};

use super::destination::{self, Kind};
use crate::config::{Mount, MountPropagation, NamespaceMode, ProcMount};
use crate::layout::SandboxDir;

/// A step that failed, for the message of the container's status.
pub(super) type Result<T> = std::result::Result<T, String>;

/// What a root file system is made from.
pub(super) struct Plan<'a> {
    pub(super) sandbox: &'a crate::config::SandboxConfig,
    pub(super) sandbox_dir: &'a SandboxDir,
    pub(super) config: &'a crate::config::ContainerConfig,
    /// Holds `upper`, `work` and `rootfs`.
    pub(super) layer: &'a Path,
    /// The container's cgroup in each hierarchy.
    pub(super) cgroup_views: &'a [(String, PathBuf)],
}

/// A mount that is held but not yet in its place.
struct Held {
    tree: OwnedFd,
    kind: Kind,
    to: PathBuf,
}

/// Paths that are hidden unless the pod asks otherwise.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Paths that cannot be written unless the pod asks otherwise.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Makes the root file system and moves into it.
pub(super) fn enter(plan: &Plan<'_>) -> Result<()> {
    let held = hold_sources(plan)?;
    let views = hold_cgroups(plan)?;
    // From here on nothing that is mounted or unmounted reaches the host.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave)
        .map_err(|error| format!("make mounts slaves: {error}"))?;
    let root = mount_overlay(plan)?;
    pivot(&root)?;
    let privileged = plan.config.security.privileged;
    mount_kernel(plan, privileged, views)?;
    let mut held = held;
    held.sort_by_key(|one| one.to.components().count());
    for one in held {
        let to = one.to.clone();
        put(one).map_err(|error| format!("mount at {}: {error}", to.display()))?;
    }
    if !privileged && plan.config.security.proc_mount == ProcMount::Default {
        mask()?;
    }
    Ok(())
}

/// Makes the root read-only when asked for; last, as mount points had to be made.
pub(super) fn seal(plan: &Plan<'_>) -> Result<()> {
    if !plan.config.security.readonly_rootfs {
        return Ok(());
    }
    let root = open_path("/").map_err(|error| format!("open the root: {error}"))?;
    let read_only = Attributes {
        set: mount::READ_ONLY,
        ..Attributes::default()
    };
    mount::set_attributes(root.as_fd(), read_only, false)
        .map_err(|error| format!("make the root read-only: {error}"))
}

fn hold_sources(plan: &Plan<'_>) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for mount in implied_mounts(plan).iter().chain(&plan.config.mounts) {
        let what = || format!("mount {}", mount.host_path.display());
        held.push(hold(mount).map_err(|error| format!("{}: {error}", what()))?);
    }
    Ok(held)
}

/// What every container of the sandbox gets, unless its configuration mounts
/// something of its own there.
fn implied_mounts(plan: &Plan<'_>) -> Vec<Mount> {
    let own = |path: &str| {
        plan.config
            .mounts
            .iter()
            .any(|mount| mount.container_path == Path::new(path))
    };
    let bind = |container: &str, host: PathBuf, readonly: bool| Mount {
        container_path: container.into(),
        host_path: host,
        readonly,
        ..Mount::default()
    };
    let shm = match plan.sandbox.namespaces.ipc {
        NamespaceMode::Node => PathBuf::from("/dev/shm"),
        _ => plan.sandbox_dir.shm(),
    };
    let readonly = plan.config.security.readonly_rootfs;
    let all = [
        bind("/dev/shm", shm, false),
        bind("/etc/hosts", plan.sandbox_dir.etc("hosts"), readonly),
        bind("/etc/hostname", plan.sandbox_dir.etc("hostname"), readonly),
        bind(
            "/etc/resolv.conf",
            plan.sandbox_dir.etc("resolv.conf"),
            readonly,
        ),
    ];
    let wanted = |mount: &Mount| !own(&mount.container_path.to_string_lossy());
    all.into_iter().filter(wanted).collect()
}

fn hold(mount: &Mount) -> io::Result<Held> {
    if mount.propagation == MountPropagation::Bidirectional {
        require_shared(&mount.host_path)?;
    }
    let tree = open_tree(
        &source(mount)?,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    let mode = rustix::fs::fstat(&tree)?.st_mode;
    let directory = FileType::from_raw_mode(mode) == FileType::Directory;
    let propagation = match mount.propagation {
        MountPropagation::Private => mount::PRIVATE,
        MountPropagation::HostToContainer => mount::SLAVE,
        MountPropagation::Bidirectional => mount::SHARED,
    };
    let passing = Attributes {
        propagation,
        ..Attributes::default()
    };
    mount::set_attributes(tree.as_fd(), passing, true)?;
    if mount.readonly {
        let read_only = Attributes {
            set: mount::READ_ONLY,
            ..Attributes::default()
        };
        mount::set_attributes(tree.as_fd(), read_only, mount.recursive_readonly)?;
    }
    let kind = if directory {
        Kind::Directory
    } else {
        Kind::File
    };
    Ok(Held {
        tree,
        kind,
        to: mount.container_path.clone(),
    })
}

/// Opens what is to be mounted.
fn source(mount: &Mount) -> io::Result<OwnedFd> {
    let base = open_path(&mount.host_path)?;
    match &mount.sub_path {
        Some(below) => destination::open_beneath(&base, below),
        None => Ok(base),
    }
}

/// Mounts of the container can reach the host only through a shared mount.
fn require_shared(path: &Path) -> io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let table = mount::table()?;
    let covering = table
        .iter()
        .rev()
        .filter(|one| path.starts_with(&one.mount_point))
        .max_by_key(|one| one.mount_point.components().count());
    let shared =
        covering.is_some_and(|one| one.propagation.iter().any(|tag| tag.starts_with("shared:")));
    if shared {
        return Ok(());
    }
    let at = covering
        .map(|one| one.mount_point.display().to_string())
        .unwrap_or_default();
    let text = format!(
        "path {:?} is mounted on {at:?} but it is not a shared mount",
        path.display()
    );
    Err(io::Error::other(text))
}

fn hold_cgroups(plan: &Plan<'_>) -> Result<Vec<(String, OwnedFd)>> {
    let mut held = Vec::new();
    for (name, path) in plan.cgroup_views {
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, path, clone)
            .map_err(|error| format!("cgroup {}: {error}", path.display()))?;
        if !plan.config.security.privileged {
            let read_only = Attributes {
                set: mount::READ_ONLY,
                ..Attributes::default()
            };
            mount::set_attributes(tree.as_fd(), read_only, false)
                .map_err(|error| format!("cgroup {}: {error}", path.display()))?;
        }
        held.push((name.clone(), tree));
    }
    Ok(held)
}

/// Mounts the layers. They are named through descriptors, which keeps the options
/// below a page whatever the paths are. `volatile` leaves out syncing to disk:
/// a writable layer is never used again after its container.
fn mount_overlay(plan: &Plan<'_>) -> Result<PathBuf> {
    let lower = &plan.config.image.rootfs.lower;
    if lower.is_empty() {
        return Err("the image has no layers".to_owned());
    }
    let open = |path: &Path| {
        open_path(path).map_err(|error| format!("open layer {}: {error}", path.display()))
    };
    let lower = lower
        .iter()
        .map(|path| open(path))
        .collect::<Result<Vec<_>>>()?;
    let (upper, work) = (
        open(&plan.layer.join("upper"))?,
        open(&plan.layer.join("work"))?,
    );
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<_> = lower.iter().map(name).collect::<Vec<_>>();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        name(&upper),
        name(&work)
    );
    let target = plan.layer.join("rootfs");
    let mount = |options: String| {
        let options = std::ffi::CString::new(options).map_err(|_| rustix::io::Errno::INVAL)?;
        rustix::mount::mount(
            "overlay",
            &target,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
    };
    let volatile = mount(format!("{options},volatile"));
    volatile
        .or_else(|_| mount(options))
        .map_err(|error| format!("mount overlay of {} layers: {error}", lower.len()))?;
    Ok(target)
}

fn pivot(root: &Path) -> Result<()> {
    let step = |what: &str| {
        let what = what.to_owned();
        move |error: rustix::io::Errno| format!("{what}: {error}")
    };
    rustix::process::chdir(root).map_err(step("enter the new root"))?;
    rustix::process::pivot_root(".", ".").map_err(step("pivot_root"))?;
    // The old root lies over the new one now; it goes without touching the host's mounts.
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("leave the old root"))?;
    rustix::process::chdir("/").map_err(step("enter the new root"))
}

/// An instance of its own, whose multiplexer everybody may open.
const PTS: &[(&str, &str)] = &[
    ("newinstance", ""),
    ("ptmxmode", "0666"),
    ("mode", "0620"),
    ("gid", "5"),
];

/// A file system of the kernel's own.
struct Special {
    path: &'static str,
    fs_type: &'static str,
    flags: MountAttrFlags,
    options: &'static [(&'static str, &'static str)],
}

fn mount_kernel(plan: &Plan<'_>, privileged: bool, views: Vec<(String, OwnedFd)>) -> Result<()> {
    let pts_flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let safe = pts_flags | MountAttrFlags::MOUNT_ATTR_NODEV;
    let sys = if privileged {
        safe
    } else {
        safe | MountAttrFlags::MOUNT_ATTR_RDONLY
    };
    let dev = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let special = |path, fs_type, flags, options| Special {
        path,
        fs_type,
        flags,
        options,
    };
    let all = [
        special("/proc", "proc", safe, [].as_slice()),
        special("/dev", "tmpfs", dev, &[("mode", "755"), ("size", "65536k")]),
        special("/dev/pts", "devpts", pts_flags, PTS),
        special("/dev/mqueue", "mqueue", safe, &[]),
        special("/sys", "sysfs", sys, &[]),
        special("/sys/fs/cgroup", "tmpfs", safe, &[("mode", "755")]),
    ];
    let owned = |path: &str| {
        plan.config
            .mounts
            .iter()
            .any(|mount| mount.container_path == Path::new(path))
    };
    // With version 2 the one view takes the place itself.
    let one_view = views.iter().any(|(name, _)| name.is_empty());
    for special in all {
        let replaced = one_view && special.path == "/sys/fs/cgroup";
        if !owned(special.path) && !replaced {
            let what = |error: io::Error| format!("mount {}: {error}", special.path);
            mount_special(&special).map_err(what)?;
        }
    }
    if !owned("/sys/fs/cgroup") {
        put_cgroups(views).map_err(|error| format!("mount cgroups: {error}"))?;
    }
    super::devices::make(plan.config)
}

fn mount_special(special: &Special) -> io::Result<()> {
    let context = fsopen(special.fs_type, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", special.fs_type)?;
    for (key, value) in special.options {
        match *value {
            "" => fsconfig_set_flag(&context, *key)?,
            value => fsconfig_set_string(&context, *key, value)?,
        }
    }
    fsconfig_create(&context)?;
    let tree = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, special.flags)?;
    put(Held {
        tree,
        kind: Kind::Directory,
        to: special.path.into(),
    })
}

fn put_cgroups(views: Vec<(String, OwnedFd)>) -> io::Result<()> {
    let base = Path::new("/sys/fs/cgroup");
    let one_view = views.iter().any(|(name, _)| name.is_empty());
    for (name, tree) in views {
        put(Held {
            tree,
            kind: Kind::Directory,
            to: base.join(&name),
        })?;
        for one in name.split(',').filter(|_| name.contains(',')) {
            rustix::fs::symlink(name.as_str(), base.join(one))?;
        }
    }
    if one_view {
        return Ok(());
    }
    let tmpfs = open_path(base)?;
    let read_only = Attributes {
        set: mount::READ_ONLY,
        ..Attributes::default()
    };
    mount::set_attributes(tmpfs.as_fd(), read_only, false)
}

fn put(held: Held) -> io::Result<()> {
    let at = destination::open(&held.to, held.kind)?;
    if mount::is_proc(at.as_fd())?
        && !ALLOWED_ON_PROC
            .iter()
            .any(|path| held.to == Path::new(path))
    {
        return Err(io::Error::other("the mount point lies on /proc"));
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&held.tree, "", &at, "", flags)?)
}

/// What a mount may cover of `/proc`, as runc allows it for lxcfs.
const ALLOWED_ON_PROC: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
];

fn mask() -> Result<()> {
    for path in MASKED {
        mask_one(path).map_err(|error| format!("mask {path}: {error}"))?;
    }
    for path in READ_ONLY {
        let result = open_tree(
            CWD,
            path,
            OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::AT_RECURSIVE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC,
        );
        let tree = match result {
            Ok(tree) => tree,
            Err(rustix::io::Errno::NOENT) => continue,
            Err(error) => return Err(format!("protect {path}: {error}")),
        };
        protect(path, &tree).map_err(|error| format!("protect {path}: {error}"))?;
    }
    Ok(())
}

fn protect(path: &str, tree: &OwnedFd) -> io::Result<()> {
    let read_only = Attributes {
        set: mount::READ_ONLY,
        ..Attributes::default()
    };
    mount::set_attributes(tree.as_fd(), read_only, true)?;
    Ok(move_mount(
        tree,
        "",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

fn mask_one(path: &str) -> io::Result<()> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        return Ok(rustix::mount::mount(
            "tmpfs",
            path,
            "tmpfs",
            MountFlags::RDONLY,
            c"size=0k",
        )?);
    }
    Ok(rustix::mount::mount_bind("/dev/null", path)?)
}

fn open_path(path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Reads a small regular file of the container; empty when absent.
pub(super) fn read_small(path: &str) -> String {
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::open(path, flags, Mode::empty()) else {
        return String::new();
    };
    let file = File::from(fd);
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return String::new();
    }
    let mut text = Vec::new();
    // What cannot be read is as good as absent: names then resolve as numbers or fail.
    let _ = file.take(4 << 20).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
