//! What the containers of a sandbox share, made and held by its monitor.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use linux::caps::CapSet;
use linux::process::{self, Fork, Namespaces};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount,
};
use rustix::process::Signal;
use rustix::thread::LinkNameSpaceType;

use super::rootfs::Result;
use crate::config::{NamespaceMode, SandboxConfig};
use crate::layout::{SandboxDir, SandboxFile, write_whole};
use crate::process::hostname;

/// The holder of a shared process namespace.
pub(super) struct Holder {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// Makes namespaces and files. Returns the holder of the process namespace when
/// the containers share one.
pub(super) fn set_up(directory: &SandboxDir, file: &SandboxFile) -> Result<Option<Holder>> {
    let config = &file.config;
    enter_namespaces(directory, config)?;
    if config.namespaces.network == NamespaceMode::Pod {
        open_low_ports();
    }
    for (name, value) in &config.sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        std::fs::write(&path, value)
            .map_err(|error| format!("set sysctl {name}={value}: {error}"))?;
    }
    if config.namespaces.ipc != NamespaceMode::Node {
        mount_shm(&directory.shm())?;
    }
    write_etc(directory, config)?;
    if config.namespaces.pid == NamespaceMode::Pod {
        return hold_processes(directory).map(Some);
    }
    Ok(None)
}

fn enter_namespaces(directory: &SandboxDir, config: &SandboxConfig) -> Result<()> {
    let wanted = &config.namespaces;
    let host_network = wanted.network == NamespaceMode::Node;
    let mut new = Namespaces::NONE;
    if !host_network {
        // With the host's network goes the host's name.
        new = new.and(Namespaces::UTS);
        if wanted.netns.is_none() {
            new = new.and(Namespaces::NET);
        }
    }
    if wanted.ipc != NamespaceMode::Node {
        new = new.and(Namespaces::IPC);
    }
    if let Some(path) = wanted.netns.as_ref().filter(|_| !host_network) {
        let describe = |error: &dyn std::fmt::Display| {
            format!("enter network namespace {}: {error}", path.display())
        };
        let netns = File::open(path).map_err(|error| describe(&error))?;
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(netns.as_fd(), kind)
            .map_err(|error| describe(&error))?;
    }
    process::unshare(new).map_err(|error| format!("make namespaces: {error}"))?;
    if host_network {
        return Ok(());
    }
    rustix::system::sethostname(hostname(config).as_bytes())
        .map_err(|error| format!("set the host name: {error}"))?;
    if wanted.netns.is_none() {
        linux::loopback::up().map_err(|error| format!("bring lo up: {error}"))?;
        let path = directory.netns();
        let describe = |error: &dyn std::fmt::Display| format!("pin the network: {error}");
        File::create(&path).map_err(|error| describe(&error))?;
        rustix::mount::mount_bind("/proc/self/ns/net", &path).map_err(|error| describe(&error))?;
    }
    Ok(())
}

/// In a network of its own a pod may use low ports and ping without being root,
/// as containerd has it since 2.0.
fn open_low_ports() {
    for (file, value) in [
        ("ip_unprivileged_port_start", "0"),
        ("ping_group_range", "0 2147483647"),
    ] {
        // A kernel that has none of it needs none of it.
        let _ = std::fs::write(format!("/proc/sys/net/ipv4/{file}"), value);
    }
}

/// As large as containerd makes it.
fn mount_shm(path: &Path) -> Result<()> {
    let describe = |error: &dyn std::fmt::Display| format!("mount /dev/shm: {error}");
    std::fs::create_dir_all(path).map_err(|error| describe(&error))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("shm", path, "tmpfs", flags, c"mode=1777,size=65536k")
        .map_err(|error| describe(&error))
}

fn write_etc(directory: &SandboxDir, config: &SandboxConfig) -> Result<()> {
    let copy = |path: &str| std::fs::read(path).unwrap_or_default();
    let resolv = match &config.dns {
        None => copy("/etc/resolv.conf"),
        Some(dns) => {
            let mut text = String::new();
            for server in &dns.servers {
                text.push_str(&format!("nameserver {server}\n"));
            }
            if !dns.searches.is_empty() {
                text.push_str(&format!("search {}\n", dns.searches.join(" ")));
            }
            if !dns.options.is_empty() {
                text.push_str(&format!("options {}\n", dns.options.join(" ")));
            }
            text.into_bytes()
        }
    };
    let files = [
        ("resolv.conf", resolv),
        ("hosts", copy("/etc/hosts")),
        ("hostname", format!("{}\n", hostname(config)).into_bytes()),
    ];
    for (name, bytes) in files {
        write_whole(&directory.etc(name), &bytes, 0o644).map_err(|error| error.chain())?;
    }
    Ok(())
}

/// A process namespace lives as long as its first process. This one does nothing
/// but reap, with no file system, no capabilities and nobody's rights, as
/// containers of the pod can look at it.
fn hold_processes(directory: &SandboxDir) -> Result<Holder> {
    let namespaces = Namespaces::PID.and(Namespaces::MOUNT);
    let (reader, writer) = std::io::pipe().map_err(|error| format!("make a pipe: {error}"))?;
    match process::fork(namespaces, None).map_err(|error| format!("hold processes: {error}"))? {
        Fork::Parent { pid, pidfd } => {
            drop(writer);
            let complaint = std::io::read_to_string(reader)
                .map_err(|error| format!("hold processes: {error}"))?;
            if complaint == "ready" {
                Ok(Holder { pid, pidfd })
            } else {
                Err(format!("hold processes: {complaint}"))
            }
        }
        Fork::Child => {
            drop(reader);
            let result = isolate(directory);
            let text = match &result {
                Ok(()) => "ready",
                Err(complaint) => complaint.as_str(),
            };
            let sent = rustix::io::write(&writer, text.as_bytes());
            if result.is_err() || sent.is_err() {
                process::exit_now(1);
            }
            drop(writer);
            // What the monitor had open must not be kept open here.
            process::close_from(3, &[]);
            reap_for_ever()
        }
    }
}

fn isolate(directory: &SandboxDir) -> Result<()> {
    let step = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
    process::reset_signals();
    rustix::thread::set_name(c"pause").map_err(step("set the name"))?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).map_err(step("make mounts slaves"))?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(step("open tmpfs"))?;
    fsconfig_set_string(&context, "size", "4k").map_err(step("size tmpfs"))?;
    fsconfig_create(&context).map_err(step("make tmpfs"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    let tree = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(step("mount tmpfs"))?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(step("open /dev/null"))?;
    move_mount(
        &tree,
        "",
        CWD,
        &directory.0,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(step("place tmpfs"))?;
    rustix::process::chdir(&directory.0).map_err(step("enter tmpfs"))?;
    rustix::process::pivot_root(".", ".").map_err(step("pivot_root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("leave the host's files"))?;
    rustix::process::chdir("/").map_err(step("enter tmpfs"))?;
    for number in 0..3 {
        process::place_fd(null.as_fd(), number)
            .map_err(|error| format!("close streams: {error}"))?;
    }
    drop((null, tree, context));
    CapSet::EMPTY
        .limit_bounding()
        .map_err(|error| format!("limit capabilities: {error}"))?;
    let (uid, gid) = (
        rustix::fs::Uid::from_raw(65535),
        rustix::fs::Gid::from_raw(65535),
    );
    rustix::thread::set_thread_groups(&[]).map_err(step("set groups"))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(step("set group"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(step("set user"))?;
    CapSet::EMPTY
        .apply()
        .map_err(|error| format!("drop capabilities: {error}"))?;
    rustix::thread::set_no_new_privs(true).map_err(step("set no_new_privs"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("tie to the monitor"))
}

fn reap_for_ever() -> ! {
    use rustix::process::{WaitOptions, wait};
    const SIGCHLD: i32 = 17;
    let Ok(signals) = process::SignalFd::new(&[SIGCHLD]) else {
        process::exit_now(1)
    };
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let mut ready = [rustix::event::PollFd::new(
            &signals,
            rustix::event::PollFlags::IN,
        )];
        // Interrupted or not, there may be something to reap.
        let _ = rustix::event::poll(&mut ready, None);
        while signals.take().is_some() {}
    }
}
