//! The new process between its fork and its program, and how the monitor follows it.
//!
//! Both hold an end of a channel. The child tells who it is, passes the master of
//! its terminal, says that it is ready, and what went wrong; that the channel closes
//! after `Ready` without a complaint means that the program runs. The monitor says once that the child is
//! in its cgroups, which the child awaits before it executes anything.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use linux::fdpass;
use linux::process::{self, Fork, Namespaces};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{DumpableBehavior, Signal};
use rustix::pty::OpenptFlags;
use rustix::thread::ThreadNameSpaceType;
use serde::{Deserialize, Serialize};

use super::identity::{self, Command, Identity};
use super::rootfs::{self, Plan, Result};
use super::{destination, devices};
use crate::config::{ContainerConfig, SandboxConfig};
use crate::layout::SandboxDir;
use crate::process as spec;
use crate::runtime::TerminalSize;
use crate::status::ContainerUser;

/// What the child tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// Who it will run as.
    User(ContainerUser),
    /// The master of its terminal comes with this.
    Terminal,
    /// The next step is to execute its program.
    Ready,
    /// Why it ends now.
    Failed(String),
}

/// A child on its way to its program.
pub(super) struct Born {
    pub(super) pid: i32,
    pub(super) channel: OwnedFd,
}

/// The standard streams of a new process; none of them with a terminal.
#[derive(Default)]
pub(super) struct Stdio {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

/// What is started.
pub(super) enum Task {
    /// A container's first process.
    First {
        layer: PathBuf,
        cgroup_views: Vec<(String, PathBuf)>,
        /// Version 2: the cgroup becomes the root of what it sees of cgroups.
        own_cgroup_namespace: bool,
    },
    /// A command in a running container.
    Command {
        arguments: Vec<String>,
        /// A handle to the container's first process, whose namespaces are joined.
        target: OwnedFd,
        size: Option<TerminalSize>,
        own_cgroup_namespace: bool,
    },
}

/// All that the child needs, decided before the fork.
pub(super) struct Start<'a> {
    pub(super) sandbox: &'a SandboxConfig,
    pub(super) sandbox_dir: &'a SandboxDir,
    pub(super) config: &'a ContainerConfig,
    pub(super) tty: bool,
    pub(super) task: Task,
    pub(super) stdio: Stdio,
}

/// Forks into namespaces and, with version 2, straight into the cgroup.
pub(super) fn spawn(
    start: Start<'_>,
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Born> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match process::fork(namespaces, cgroup)? {
        Fork::Parent { pid, .. } => {
            rustix::io::ioctl_fionbio(&ours, true)?;
            Ok(Born { pid, channel: ours })
        }
        Fork::Child => {
            drop(ours);
            let error = run(start, &theirs);
            tell(&theirs, &Word::Failed(error), None);
            process::exit_now(1)
        }
    }
}

/// Lets the child execute its program.
pub(super) fn release(channel: &OwnedFd) -> io::Result<()> {
    fdpass::send(channel, b"go", &[]).map(|_| ())
}

/// The next word of the child: `Ok(None)` when it has executed its program or ended.
pub(super) fn hear(channel: &OwnedFd) -> io::Result<Option<(Word, Option<OwnedFd>)>> {
    let mut buffer = vec![0; 64 << 10];
    let mut received = fdpass::receive(channel, &mut buffer);
    // A child that ended without waiting for its release is told once as an error,
    // in front of its last words.
    if received
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    {
        received = fdpass::receive(channel, &mut buffer);
    }
    let (length, mut fds) = received?;
    if length == 0 {
        return Ok(None);
    }
    Ok(Some((
        serde_json::from_slice(&buffer[..length])?,
        fds.pop(),
    )))
}

fn tell(channel: &OwnedFd, word: &Word, fd: Option<BorrowedFd<'_>>) {
    let text = serde_json::to_vec(word).unwrap_or_default();
    let fds: Vec<_> = fd.into_iter().collect();
    // A monitor that is gone takes this process with it.
    let _ = fdpass::send(channel, &text, &fds);
}

/// Runs in the child; returns what went wrong.
fn run(start: Start<'_>, channel: &OwnedFd) -> String {
    // Its descriptors are closed by number, so they must not be closed by name.
    let start = ManuallyDrop::new(start);
    match prepare(&start, channel) {
        Ok(command) => {
            tell(channel, &Word::Ready, None);
            command.exec()
        }
        Err(error) => error,
    }
}

fn prepare(start: &Start<'_>, channel: &OwnedFd) -> Result<Command> {
    let step = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
    process::reset_signals();
    // Until it runs its program, no container may look into this process.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(step("hide from containers"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("tie to the monitor"))?;
    rustix::process::setsid().map_err(step("start a session"))?;
    let identity = Identity::of(start.config)?;
    enter(start)?;
    let user = identity::resolve_user(start.config)?;
    tell(channel, &Word::User(user.user.clone()), None);
    let (arguments, mut environment) = match &start.task {
        Task::First { .. } => (
            spec::arguments(start.config),
            spec::environment(start.config, start.sandbox),
        ),
        Task::Command { arguments, .. } => {
            let mut environment = spec::environment(start.config, start.sandbox);
            if start.tty && !environment.iter().any(|entry| entry.starts_with("TERM=")) {
                environment.push("TERM=xterm".to_owned());
            }
            (arguments.clone(), environment)
        }
    };
    if !environment.iter().any(|entry| entry.starts_with("HOME=")) {
        environment.push(format!("HOME={}", user.home));
    }
    let slave = streams(start, channel)?;
    if let (Some(slave), Task::First { .. }) = (&slave, &start.task) {
        devices::make_console(slave)?;
    }
    if let Task::First {
        layer,
        cgroup_views,
        ..
    } = &start.task
    {
        rootfs::seal(&plan(start, layer, cgroup_views))?;
    }
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    identity::own_streams(&[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], &user);
    drop(slave);
    // Nothing of the monitor may be reachable through this process.
    process::close_from(3, &[channel.as_raw_fd()]);
    identity::enter_directory(&spec::working_directory(start.config))?;
    await_release(channel)?;
    if own_cgroup_namespace(&start.task) {
        process::unshare(Namespaces::CGROUP)
            .map_err(|error| format!("unshare the cgroup namespace: {error}"))?;
    }
    identity.assume(&user)?;
    Command::find(&arguments, &environment)
}

fn own_cgroup_namespace(task: &Task) -> bool {
    match task {
        // A command has joined the container's.
        Task::Command { .. } => false,
        Task::First {
            own_cgroup_namespace,
            ..
        } => *own_cgroup_namespace,
    }
}

/// Moves into the container's file system, making it when this is the first process.
fn enter(start: &Start<'_>) -> Result<()> {
    match &start.task {
        Task::First {
            layer,
            cgroup_views,
            ..
        } => {
            let nodes = devices::host_nodes(start.config)?;
            rootfs::enter(&plan(start, layer, cgroup_views))?;
            devices::make_host_nodes(&nodes)
        }
        Task::Command {
            target,
            own_cgroup_namespace,
            ..
        } => {
            let mut kinds = ThreadNameSpaceType::MOUNT;
            if *own_cgroup_namespace {
                kinds |= ThreadNameSpaceType::CONTROL_GROUP;
            }
            rustix::thread::move_into_thread_name_spaces(target.as_fd(), kinds)
                .map_err(|error| format!("enter the container: {error}"))
        }
    }
}

fn plan<'a>(
    start: &'a Start<'_>,
    layer: &'a std::path::Path,
    cgroup_views: &'a [(String, PathBuf)],
) -> Plan<'a> {
    Plan {
        sandbox: start.sandbox,
        sandbox_dir: start.sandbox_dir,
        config: start.config,
        layer,
        cgroup_views,
    }
}

/// Puts the standard streams in their places. With a terminal, returns its slave.
fn streams(start: &Start<'_>, channel: &OwnedFd) -> Result<Option<OwnedFd>> {
    let describe = |error: &dyn std::fmt::Display| format!("set up standard streams: {error}");
    if start.tty {
        let (master, slave) =
            open_terminal().map_err(|error| format!("open a terminal: {error}"))?;
        if let Task::Command {
            size: Some(size), ..
        } = &start.task
        {
            set_size(master.as_fd(), *size).map_err(|error| describe(&error))?;
        }
        rustix::process::ioctl_tiocsctty(&slave).map_err(|error| describe(&error))?;
        tell(channel, &Word::Terminal, Some(master.as_fd()));
        for number in 0..3 {
            process::place_fd(slave.as_fd(), number).map_err(|error| describe(&error))?;
        }
        return Ok(Some(slave));
    }
    let stdio = &start.stdio;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let null = null.map_err(|error| format!("open /dev/null: {error}"))?;
    for (number, stream) in [&stdio.stdin, &stdio.stdout, &stdio.stderr]
        .into_iter()
        .enumerate()
    {
        let stream = stream.as_ref().unwrap_or(&null);
        let number = i32::try_from(number).unwrap_or_default();
        process::place_fd(stream.as_fd(), number).map_err(|error| describe(&error))?;
    }
    Ok(None)
}

/// A pseudo-terminal of the container's own instance.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let ptmx = destination::open(
        std::path::Path::new("/dev/pts/ptmx"),
        destination::Kind::File,
    )?;
    let path = format!("/proc/self/fd/{}", ptmx.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = match rustix::fs::open(&path, flags, Mode::empty()) {
        // A container may hide its /proc.
        Err(rustix::io::Errno::NOENT) => rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty())?,
        result => result?,
    };
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, slave))
}

/// Sets the size of a terminal.
pub(super) fn set_size(master: BorrowedFd<'_>, size: TerminalSize) -> io::Result<()> {
    let size = rustix::termios::Winsize {
        ws_row: size.height,
        ws_col: size.width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(master, size)?)
}

fn await_release(channel: &OwnedFd) -> Result<()> {
    let mut buffer = [0; 8];
    match fdpass::receive(channel, &mut buffer) {
        Ok((length, _)) if length > 0 => Ok(()),
        Ok(_) => Err("the monitor is gone".to_owned()),
        Err(error) => Err(format!("wait for the monitor: {error}")),
    }
}
