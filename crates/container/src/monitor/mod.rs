//! The monitor of a sandbox: one process per pod that outlives the runtime.
//!
//! It is the same binary, executed anew before any thread starts, and stays
//! single-threaded: it forks, and a fork of several threads is not safe. It holds
//! the sandbox's namespaces, is the parent of all its processes, owns their
//! terminals and logs, writes down how they end, and answers on a socket. When it
//! is killed, the kernel kills its containers with it.

mod child;
mod client;
mod container;
mod destination;
mod devices;
mod exec;
mod identity;
mod log;
mod requests;
mod rootfs;
mod sandbox;
mod streams;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;

use linux::cgroup::Group;
use linux::process::{self, Fork, SignalFd};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{WaitOptions, WaitStatus};
use stdx::Clock;

use crate::layout::{SandboxDir, SandboxFile, read_json};
pub(crate) use container::limits;

use client::Client;
use container::Container;
use exec::Exec;
use log::Stream;
use sandbox::Holder;

/// First argument that makes a process a monitor.
pub const ROLE: &str = "monitor";

/// Runs the monitor when this process was started as one. To be called first in
/// `main`, before any thread starts; `None` means that it is not a monitor.
pub fn intercept() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()?.to_str()? != ROLE {
        return None;
    }
    Some(main(arguments.collect()))
}

/// The monitor's life. The argument is the sandbox's directory.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let [directory] = arguments.as_slice() else {
        eprintln!("usage: {ROLE} DIRECTORY");
        return ExitCode::from(2);
    };
    match Monitor::start(SandboxDir(PathBuf::from(directory))) {
        // A runtime that is gone takes the new sandbox with it.
        Ok(mut monitor) if report("ready") => monitor.run(),
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells the runtime, which waits at the other end of standard output, that the
/// sandbox is ready, or why it is not; then lets go of it. False when it is gone.
fn report(text: &str) -> bool {
    let mut stdout = io::stdout();
    let told = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    told.is_ok() && process::place_fd(io::stderr().as_fd(), 1).is_ok()
}

struct Monitor {
    directory: SandboxDir,
    file: SandboxFile,
    pod: Group,
    clock: Clock,
    signals: SignalFd,
    listener: UnixListener,
    own_pid_namespace: OwnedFd,
    holder: Option<Holder>,
    containers: BTreeMap<String, Container>,
    execs: Vec<Exec>,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    /// Who is told when everything has ended, and with it the monitor.
    stopping: Option<Option<u64>>,
}

/// What a descriptor that is ready stands for.
enum Ready {
    Signal,
    Connection,
    Client(u64),
    Output(String, Stream),
    Sinks(String),
    Input(String),
    Channel(String),
    ExecChannel(i32),
}

const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGPIPE: i32 = 13;
const IGNORED: [i32; 4] = [1, 2, 3, 20];

impl Monitor {
    fn start(directory: SandboxDir) -> Result<Monitor, String> {
        let io = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        process::close_from(3, &[]);
        rustix::thread::set_name(c"tiphys-monitor")
            .map_err(|error| format!("set the name: {error}"))?;
        rustix::process::setsid().map_err(|error| format!("start a session: {error}"))?;
        process::ignore_signal(SIGPIPE);
        IGNORED.into_iter().for_each(process::ignore_signal);
        let signals = SignalFd::new(&[SIGCHLD, SIGTERM]).map_err(io("take signals"))?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| format!("become a subreaper: {error}"))?;
        // Lowering it needs CAP_SYS_RESOURCE; without, the monitor is as mortal as others.
        let _ = std::fs::write("/proc/self/oom_score_adj", "-998");
        let file = read_json::<SandboxFile>(&directory.file()).map_err(|error| error.chain())?;
        let file = file.ok_or_else(|| format!("{:?} is missing", directory.file()))?;
        let pod = file
            .cgroups
            .group(&file.config.cgroup_parent)
            .map_err(|error| error.to_string())?;
        let own = file
            .cgroups
            .group(&file.monitor_cgroup)
            .map_err(|error| error.to_string())?;
        move_into(&own, rustix::process::getpid().as_raw_nonzero().get())?;
        let pid_namespace =
            std::fs::File::open("/proc/self/ns/pid").map_err(io("open the pid namespace"))?;
        let holder = sandbox::set_up(&directory, &file)?;
        if let Some(holder) = &holder {
            // It may be older than the monitor's own move.
            move_into(&own, holder.pid)?;
        }
        let listener = listen(&directory).map_err(io("listen"))?;
        Ok(Monitor {
            directory,
            file,
            pod,
            clock: Clock::system(),
            signals,
            listener,
            own_pid_namespace: pid_namespace.into(),
            holder,
            containers: BTreeMap::new(),
            execs: Vec::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            stopping: None,
        })
    }

    fn run(&mut self) -> ExitCode {
        loop {
            if self.finished() {
                return ExitCode::SUCCESS;
            }
            match self.wait() {
                Ok(ready) => {
                    ready.into_iter().for_each(|one| self.handle(one));
                    let now = self.clock.now();
                    for container in self.containers.values_mut() {
                        container.streams.shed(now);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    eprintln!("poll: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }

    /// All descriptors of interest, and what each stands for.
    fn wait(&self) -> Result<Vec<Ready>, rustix::io::Errno> {
        let mut polls = Vec::new();
        let mut meanings = Vec::new();
        let mut add = |fd, flags, meaning| {
            polls.push(PollFd::from_borrowed_fd(fd, flags));
            meanings.push(meaning);
        };
        add(self.signals.as_fd(), PollFlags::IN, Ready::Signal);
        add(self.listener.as_fd(), PollFlags::IN, Ready::Connection);
        for (id, client) in &self.clients {
            let write = if client.wants_to_write() {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            add(client.as_fd(), PollFlags::IN | write, Ready::Client(*id));
        }
        for (id, container) in &self.containers {
            if let Some(channel) = &container.channel {
                add(channel.as_fd(), PollFlags::IN, Ready::Channel(id.clone()));
            }
            let streams = &container.streams;
            for output in streams
                .outputs
                .iter()
                .filter(|one| streams.may_read(one.stream))
            {
                let meaning = Ready::Output(id.clone(), output.stream);
                add(output.fd.as_fd(), PollFlags::IN, meaning);
            }
            for sink in streams.sinks.iter().filter(|sink| sink.wants_to_write()) {
                add(sink.fd.as_fd(), PollFlags::OUT, Ready::Sinks(id.clone()));
            }
            if let Some(input) = &streams.input {
                if let Some(fd) = input.wants_to_read() {
                    add(fd, PollFlags::IN, Ready::Input(id.clone()));
                }
                if let Some(fd) = input.wants_to_write() {
                    add(fd, PollFlags::OUT, Ready::Input(id.clone()));
                }
            }
        }
        for exec in &self.execs {
            if let Some(channel) = &exec.channel {
                add(channel.as_fd(), PollFlags::IN, Ready::ExecChannel(exec.pid));
            }
        }
        let lag = self.containers.values().any(|one| one.streams.lag());
        let second = rustix::event::Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut polls, lag.then_some(&second))?;
        let ready = polls.iter().map(|poll| !poll.revents().is_empty());
        Ok(ready
            .zip(meanings)
            .filter(|(ready, _)| *ready)
            .map(|(_, meaning)| meaning)
            .collect())
    }

    fn handle(&mut self, ready: Ready) {
        match ready {
            Ready::Signal => self.handle_signals(),
            Ready::Connection => self.accept(),
            Ready::Client(id) => self.serve(id),
            Ready::Channel(id) => self.hear_container(&id),
            Ready::ExecChannel(pid) => self.hear_exec(pid),
            Ready::Output(id, stream) => {
                let now = self.clock.wall();
                if let Some(container) = self.containers.get_mut(&id) {
                    container.streams.read(stream, &mut container.log, now);
                }
            }
            Ready::Sinks(id) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.streams.flush_sinks();
                }
            }
            Ready::Input(id) => {
                let container = self.containers.get_mut(&id);
                if let Some(input) = container.and_then(|one| one.streams.input.as_mut()) {
                    input.pump();
                }
            }
        }
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = self.signals.take() {
            if signal == SIGTERM && self.stopping.is_none() {
                self.stop(None);
            }
        }
        self.reap();
    }

    /// Collects all children that have ended, also those that were adopted.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let first = self
                .containers
                .iter()
                .find(|(_, one)| one.pid() == Some(pid));
            if let Some(id) = first.map(|(id, _)| id.clone()) {
                self.container_ended(&id, status);
            } else if self.execs.iter().any(|exec| exec.pid == pid) {
                self.exec_ended(pid, status);
            } else if self.holder.as_ref().is_some_and(|holder| holder.pid == pid) {
                eprintln!("the holder of the process namespace has ended");
                self.holder = None;
                self.stop(None);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            if socket.set_nonblocking(true).is_ok() {
                self.clients
                    .insert(self.next_client, Client::new(socket.into()));
                self.next_client += 1;
            }
        }
    }

    /// Ends everything; `client` is answered when that is done.
    fn stop(&mut self, client: Option<u64>) {
        self.stopping = Some(client);
        for container in self.containers.values() {
            container.kill();
        }
        for exec in &self.execs {
            // It may have ended by itself.
            let _ = process::kill(exec.pid, 9);
        }
    }

    /// Whether the monitor was asked to end and everything else has.
    fn finished(&mut self) -> bool {
        let Some(client) = self.stopping else {
            return false;
        };
        if self.containers.values().any(|one| one.pid().is_some()) || !self.execs.is_empty() {
            return false;
        }
        if let Some(holder) = &self.holder {
            // It is the last one; nobody is left who would see it go.
            let _ =
                rustix::process::pidfd_send_signal(&holder.pidfd, rustix::process::Signal::KILL);
        }
        if let Some(client) = client.and_then(|id| self.clients.get_mut(&id)) {
            client.answer(&crate::protocol::Answer::Done, None);
            client.closing = true;
        }
        for client in self.clients.values_mut() {
            client.flush();
        }
        true
    }
}

/// Moves a process into the monitor's cgroup. The first move after a pause waits
/// some milliseconds for a grace period of the kernel, so a process of its own does
/// it while this one goes on.
fn move_into(group: &Group, pid: i32) -> Result<(), String> {
    match process::fork(process::Namespaces::NONE, None) {
        Ok(Fork::Parent { .. }) => Ok(()),
        Ok(Fork::Child) => {
            // The runtime hears the monitor until the last writer is gone.
            let _ = process::place_fd(io::stderr().as_fd(), 1);
            if let Err(error) = group.attach(pid) {
                eprintln!("move into {}: {}", group.path(), container::chain(&error));
            }
            process::exit_now(0)
        }
        Err(error) => Err(format!("fork: {error}")),
    }
}

/// The exit code as Kubernetes tells it, and the signal if one ended the process.
fn outcome(status: WaitStatus) -> (i32, Option<i32>) {
    match status.terminating_signal() {
        Some(signal) => (128 + signal, Some(signal)),
        None => (status.exit_status().unwrap_or(255), None),
    }
}

/// The path of a unix socket is short, so it is bound from within its directory.
fn listen(directory: &SandboxDir) -> io::Result<UnixListener> {
    rustix::process::chdir(&directory.0)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match std::fs::remove_file(SandboxDir::SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(SandboxDir::SOCKET)?;
    listener.set_nonblocking(true)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::chdir("/")?;
    Ok(listener)
}
