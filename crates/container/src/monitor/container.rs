//! One container in the monitor's hands: its start, its end and its record.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use linux::cgroup::{Group, Limits};
use linux::process::{self, Namespaces};
use rustix::process::WaitStatus;
use rustix::thread::LinkNameSpaceType;

use super::child::{self, Start, Stdio, Task, Word};
use super::log::{Log, Stream};
use super::streams::{Input, Output, Streams};
use super::{Monitor, devices, outcome};
use crate::config::{NamespaceMode, Resources};
use crate::layout::{ContainerDir, ContainerFile, read_json, wall_ns, write_json};
use crate::protocol::{Answer, FailureKind, Record};
use crate::status::{ContainerState, ContainerUser, EXIT_START_ERROR, reason};

/// A container that was started.
pub(super) struct Container {
    pub(super) file: ContainerFile,
    pub(super) group: Group,
    pub(super) record: Record,
    pub(super) streams: Streams,
    pub(super) log: Log,
    /// The terminal's master.
    pub(super) terminal: Option<OwnedFd>,
    /// Open until the program runs.
    pub(super) channel: Option<OwnedFd>,
    /// Clients that wait for its end.
    pub(super) attached: Vec<u64>,
    directory: ContainerDir,
    pid: Option<i32>,
    starter: u64,
    user: Option<ContainerUser>,
    complaint: Option<String>,
    /// Whether its next step was to execute its program.
    ready: bool,
}

impl Container {
    /// Its first process, from the fork until it is reaped.
    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }

    pub(super) fn running(&self) -> bool {
        self.record.state == ContainerState::Running
    }

    /// Kills all of its processes.
    pub(super) fn kill(&self) {
        let Some(pid) = self.pid else { return };
        if let Err(error) = self.group.kill() {
            eprintln!("kill {}: {error}", self.file.id);
        }
        // It may not be in its cgroup yet, or have ended.
        let _ = process::kill(pid, 9);
    }

    fn write_record(&self) {
        if let Err(error) = write_json(&self.directory.record(), &self.record) {
            eprintln!("container {}: {}", self.file.id, error.chain());
        }
    }
}

/// Limits as the cgroups take them.
pub(crate) fn limits(resources: &Resources) -> Limits {
    Limits {
        memory_bytes: resources.memory_limit_bytes.filter(|bytes| *bytes != 0),
        memory_swap_bytes: resources
            .memory_swap_limit_bytes
            .filter(|bytes| *bytes != 0),
        cpu_shares: resources.cpu_shares.filter(|shares| *shares != 0),
        cpu_quota_us: resources.cpu_quota_us.filter(|quota| *quota != 0),
        cpu_period_us: resources.cpu_period_us.filter(|period| *period != 0),
        pids: resources.pids_limit.filter(|pids| *pids != 0),
        cpuset_cpus: resources
            .cpuset_cpus
            .clone()
            .filter(|cpus| !cpus.is_empty()),
        cpuset_mems: resources
            .cpuset_mems
            .clone()
            .filter(|mems| !mems.is_empty()),
        hugepages: resources.hugepage_limits.clone(),
        unified: resources.unified.clone(),
    }
}

impl Monitor {
    /// Starts a container; the client is answered when its program runs or cannot.
    pub(super) fn start_container(&mut self, client: u64, id: &str) {
        let refused = match self.try_start(client, id) {
            Ok(()) => return,
            Err(refused) => refused,
        };
        if refused.0 == FailureKind::Start {
            self.record_start_failure(id, &refused.1);
        }
        self.refuse(client, refused.0, refused.1);
    }

    fn try_start(&mut self, client: u64, id: &str) -> Result<(), (FailureKind, String)> {
        let start_error = |error: String| (FailureKind::Start, error);
        let directory = self.directory.container(id);
        let file = read_json::<ContainerFile>(&directory.file())
            .map_err(|error| (FailureKind::Other, error.chain()))?
            .ok_or_else(|| (FailureKind::NotFound, format!("container {id:?} not found")))?;
        if self.stopping.is_some() || self.containers.contains_key(id) {
            let error = format!("container {id:?} was started before, or its sandbox is stopping");
            return Err((FailureKind::WrongState, error));
        }
        let group = self
            .pod
            .child(id)
            .map_err(|error| start_error(error.to_string()))?;
        prepare_group(&group, &file).map_err(start_error)?;
        let log = self.open_log(&file).map_err(start_error)?;
        let (stdio, streams) = pipes(&file).map_err(|error| start_error(error.to_string()))?;
        let task = Task::First {
            layer: self.file.data_dir.join(id),
            cgroup_views: group.views(),
            own_cgroup_namespace: group.version() == 2,
        };
        let start = Start {
            sandbox: &self.file.config,
            sandbox_dir: &self.directory,
            config: &file.config,
            tty: file.config.tty,
            task,
            stdio,
        };
        let born = self
            .spawn_first(start, &file, &group)
            .map_err(start_error)?;
        let record = Record::created(file.config.attempt);
        let container = Container {
            file,
            group,
            record,
            streams,
            log,
            terminal: None,
            channel: Some(born.channel),
            attached: Vec::new(),
            directory,
            pid: Some(born.pid),
            starter: client,
            user: None,
            complaint: None,
            ready: false,
        };
        self.containers.insert(id.to_owned(), container);
        Ok(())
    }

    fn open_log(&self, file: &ContainerFile) -> Result<Log, String> {
        let directory = self.file.config.log_directory.as_ref();
        let path = directory
            .zip(file.config.log_path.as_ref())
            .map(|(dir, file)| dir.join(file));
        Log::open(path.clone()).map_err(|error| format!("open the log {path:?}: {error}"))
    }

    /// Forks the first process, in the process namespace that it belongs in, and
    /// puts it into its cgroup.
    fn spawn_first(
        &self,
        start: Start<'_>,
        file: &ContainerFile,
        group: &Group,
    ) -> Result<child::Born, String> {
        let mode = file
            .config
            .pid
            .as_ref()
            .unwrap_or(&self.file.config.namespaces.pid);
        let describe = |error: &dyn std::fmt::Display| format!("start the first process: {error}");
        let unified = group.open_unified().map_err(|error| describe(&error))?;
        let unified = unified.as_ref().map(|fd| fd.as_fd());
        let mount = Namespaces::MOUNT;
        let born = match mode {
            NamespaceMode::Container => child::spawn(start, mount.and(Namespaces::PID), unified),
            NamespaceMode::Node => child::spawn(start, mount, unified),
            NamespaceMode::Pod => {
                let holder = self
                    .holder
                    .as_ref()
                    .ok_or_else(|| describe(&"no process namespace"))?;
                self.within(&holder.pidfd, || child::spawn(start, mount, unified))
            }
            NamespaceMode::Target(target) => {
                let pid = self.containers.get(target).filter(|one| one.running());
                let pid = pid.and_then(Container::pid);
                let pid =
                    pid.ok_or_else(|| describe(&format!("target {target:?} is not running")))?;
                let target = open_process(pid).map_err(|error| describe(&error))?;
                self.within(&target, || child::spawn(start, mount, unified))
            }
        };
        let born = born.map_err(|error| describe(&error))?;
        self.settle(&born, group, &file.config.resources)
            .map_err(|error| {
                // Without its cgroup it must not run; its end is reaped as nobody's.
                let _ = process::kill(born.pid, 9);
                describe(&error)
            })?;
        Ok(born)
    }

    /// Does something whose children belong in another process namespace.
    pub(super) fn within<T>(
        &self,
        target: &OwnedFd,
        action: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let kind = rustix::thread::ThreadNameSpaceType::PROCESS_ID;
        rustix::thread::move_into_thread_name_spaces(target.as_fd(), kind)?;
        let result = action();
        let own = self.own_pid_namespace.as_fd();
        let back = Some(LinkNameSpaceType::ProcessID);
        rustix::thread::move_into_link_name_space(own, back)?;
        result
    }

    /// Puts a new process into its cgroups and lets it go on.
    pub(super) fn settle(
        &self,
        born: &child::Born,
        group: &Group,
        resources: &Resources,
    ) -> Result<(), String> {
        group.attach_v1(born.pid).map_err(|error| chain(&error))?;
        let wanted = resources.oom_score_adj.unwrap_or(0).to_string();
        // Lowering needs CAP_SYS_RESOURCE; without it the value of the monitor stays.
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", born.pid), wanted);
        // A child that has ended already has said why.
        let _ = child::release(&born.channel);
        Ok(())
    }

    /// Takes what the first process says on its way.
    pub(super) fn hear_container(&mut self, id: &str) {
        loop {
            let Some(container) = self.containers.get_mut(id) else {
                return;
            };
            let Some(channel) = &container.channel else {
                return;
            };
            match child::hear(channel) {
                Ok(Some((Word::User(user), _))) => container.user = Some(user),
                Ok(Some((Word::Terminal, Some(master)))) => {
                    if let Err(error) = container.take_terminal(master) {
                        container.complaint = Some(format!("take the terminal: {error}"));
                    }
                }
                Ok(Some((Word::Terminal, None))) => {}
                Ok(Some((Word::Ready, _))) => container.ready = true,
                Ok(Some((Word::Failed(error), _))) => container.complaint = Some(error),
                Ok(None) => {
                    container.channel = None;
                    if container.complaint.is_none() && container.ready {
                        self.container_runs(id);
                    }
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    container.complaint = Some(format!("hear the first process: {error}"));
                    container.channel = None;
                    return;
                }
            }
        }
    }

    fn container_runs(&mut self, id: &str) {
        let now = wall_ns(&self.clock);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.record.state = ContainerState::Running;
        container.record.pid = container.pid;
        container.record.started_ns = Some(now);
        container.record.user = container.user.clone();
        container.write_record();
        let starter = container.starter;
        self.tell_changed(id);
        if let Some(client) = self.clients.get_mut(&starter) {
            client.answer(&Answer::Done, None);
        }
        self.flush(starter);
    }

    /// The first process has ended.
    pub(super) fn container_ended(&mut self, id: &str, status: WaitStatus) {
        // It may have executed its program and ended before the channel was looked at.
        self.hear_container(id);
        let now = self.clock.wall();
        let now_ns = wall_ns(&self.clock);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        container.pid = None;
        let (code, signal) = outcome(status);
        let oom = container.group.oom_kills().is_ok_and(|kills| kills > 0);
        if let Err(error) = container.group.kill() {
            eprintln!("kill what is left of {id}: {error}");
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            container.streams.read(stream, &mut container.log, now);
        }
        if !container.running() {
            let message = match container.complaint.take() {
                Some(complaint) => complaint,
                None if oom => "container init was OOM-killed (memory limit too low?)".to_owned(),
                None => format!("the first process ended with {code} before its program ran"),
            };
            let starter = container.starter;
            self.remove_group(id);
            self.record_start_failure(id, &message);
            self.refuse(starter, FailureKind::Start, message);
            return;
        }
        let record = &mut container.record;
        record.state = ContainerState::Exited;
        record.pid = None;
        record.finished_ns = Some(now_ns);
        (record.exit_code, record.signal, record.oom) = (code, signal, oom);
        container.write_record();
        container.terminal = None;
        container.streams.input = None;
        let attached = std::mem::take(&mut container.attached);
        self.tell_changed(id);
        for client in attached {
            if let Some(client) = self.clients.get_mut(&client) {
                client.answer(&Answer::Exited { code }, None);
                client.closing = true;
            }
            self.flush(client);
        }
        self.remove_group(id);
    }

    fn remove_group(&self, id: &str) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        // Killed processes may still be on their way out; it is tried again when
        // the container is forgotten or its sandbox stopped.
        let _ = container.group.remove();
    }

    fn record_start_failure(&mut self, id: &str, message: &str) {
        let now = wall_ns(&self.clock);
        let directory = self.directory.container(id);
        let attempt = self.containers.get(id).map_or(0, |one| one.record.attempt);
        let record = Record {
            state: ContainerState::Exited,
            started_ns: None,
            finished_ns: Some(now),
            exit_code: EXIT_START_ERROR,
            reason: reason::START_ERROR.to_owned(),
            message: message.to_owned(),
            ..Record::created(attempt)
        };
        match self.containers.get_mut(id) {
            Some(container) => {
                container.record = record;
                container.streams = Streams::default();
                container.write_record();
                self.tell_changed(id);
            }
            None => {
                if let Err(error) = write_json(&directory.record(), &record) {
                    eprintln!("container {id}: {}", error.chain());
                }
                self.tell_record(id, record);
            }
        }
    }
}

impl Container {
    fn take_terminal(&mut self, master: OwnedFd) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&master, true)?;
        let output = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
        self.streams.outputs.push(Output {
            fd: output,
            stream: Stream::Stdout,
        });
        if self.file.config.stdin {
            let input = rustix::io::fcntl_dupfd_cloexec(&master, 3)?;
            self.streams.input = Some(Input::new(input, false)?);
        }
        self.terminal = Some(master);
        Ok(())
    }
}

fn prepare_group(group: &Group, file: &ContainerFile) -> Result<(), String> {
    group.create().map_err(|error| chain(&error))?;
    group
        .apply(&limits(&file.config.resources))
        .map_err(|error| chain(&error))?;
    if let Some(rules) = devices::rules(&file.config)? {
        group.set_devices(&rules).map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// The child's ends and the monitor's ends of its standard streams. A terminal is
/// opened later, in the container.
fn pipes(file: &ContainerFile) -> io::Result<(Stdio, Streams)> {
    let (mut stdio, mut streams) = (Stdio::default(), Streams::default());
    if file.config.tty {
        return Ok((stdio, streams));
    }
    if file.config.stdin {
        let (reader, writer) = io::pipe()?;
        stdio.stdin = Some(reader.into());
        streams.input = Some(Input::new(writer.into(), file.config.stdin_once)?);
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        let (reader, writer) = io::pipe()?;
        let fd = OwnedFd::from(reader);
        rustix::io::ioctl_fionbio(&fd, true)?;
        streams.outputs.push(Output { fd, stream });
        match stream {
            Stream::Stdout => stdio.stdout = Some(writer.into()),
            Stream::Stderr => stdio.stderr = Some(writer.into()),
        }
    }
    Ok((stdio, streams))
}

/// A handle to a process by its id.
pub(super) fn open_process(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
