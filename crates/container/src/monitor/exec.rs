//! Commands run in a running container.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use linux::process::{self, Namespaces};
use rustix::process::WaitStatus;

use super::child::{self, Start, Stdio, Task, Word};
use super::container::open_process;
use super::{Monitor, outcome};
use crate::config::NamespaceMode;
use crate::protocol::{Answer, FailureKind};
use crate::runtime::TerminalSize;

/// One command.
pub(super) struct Exec {
    pub(super) pid: i32,
    /// Open until the program runs.
    pub(super) channel: Option<OwnedFd>,
    pub(super) client: u64,
    pub(super) kill_on_close: bool,
    terminal: Option<OwnedFd>,
    complaint: Option<String>,
    ready: bool,
}

impl Exec {
    /// Kills the command and what it started in its session's first group.
    pub(super) fn kill(&self) {
        // Either may have ended.
        let _ = process::kill(-self.pid, 9);
        let _ = process::kill(self.pid, 9);
    }
}

/// What [`Monitor::exec`] is asked for.
pub(super) struct Wanted {
    pub(super) container: String,
    pub(super) command: Vec<String>,
    pub(super) tty: bool,
    pub(super) size: Option<TerminalSize>,
    pub(super) kill_on_close: bool,
    pub(super) fds: Vec<OwnedFd>,
}

impl Monitor {
    /// Starts a command; the client is answered when it runs and when it ends.
    pub(super) fn exec(&mut self, client: u64, wanted: Wanted) {
        let kill_on_close = wanted.kill_on_close;
        match self.try_exec(wanted) {
            Ok(born) => self.execs.push(Exec {
                pid: born.pid,
                channel: Some(born.channel),
                client,
                kill_on_close,
                terminal: None,
                complaint: None,
                ready: false,
            }),
            Err((kind, message)) => self.refuse(client, kind, message),
        }
    }

    fn try_exec(&self, wanted: Wanted) -> Result<child::Born, (FailureKind, String)> {
        let id = &wanted.container;
        let container = self.containers.get(id);
        let container = container
            .ok_or_else(|| (FailureKind::NotFound, format!("container {id:?} not found")))?;
        let pid = container
            .pid()
            .filter(|_| container.running() && self.stopping.is_none());
        let pid = pid.ok_or_else(|| {
            (
                FailureKind::WrongState,
                format!("container {id:?} is not running"),
            )
        })?;
        let other = |error: io::Error| (FailureKind::Other, format!("exec: {error}"));
        let target = open_process(pid).map_err(other)?;
        let mut fds = wanted.fds.into_iter();
        let mut stdio = Stdio::default();
        if !wanted.tty {
            (stdio.stdin, stdio.stdout, stdio.stderr) = (fds.next(), fds.next(), fds.next());
        }
        let own_pids = container.file.config.pid.as_ref();
        let own_pids = own_pids.unwrap_or(&self.file.config.namespaces.pid) != &NamespaceMode::Node;
        let start = Start {
            sandbox: &self.file.config,
            sandbox_dir: &self.directory,
            config: &container.file.config,
            tty: wanted.tty,
            task: Task::Command {
                arguments: wanted.command,
                target: target.try_clone().map_err(other)?,
                size: wanted.size,
                own_cgroup_namespace: container.group.version() == 2,
            },
            stdio,
        };
        let unified = container.group.open_unified();
        let unified = unified.map_err(|error| (FailureKind::Other, format!("exec: {error}")))?;
        let unified = unified.as_ref().map(|fd| fd.as_fd());
        let spawn = || child::spawn(start, Namespaces::NONE, unified);
        let born = if own_pids {
            self.within(&target, spawn)
        } else {
            spawn()
        };
        let born = born.map_err(other)?;
        let settled = self.settle(&born, &container.group, &container.file.config.resources);
        settled.map_err(|error| {
            // Outside of the container's cgroup it must not run.
            let _ = process::kill(born.pid, 9);
            (FailureKind::Other, format!("exec: {error}"))
        })?;
        Ok(born)
    }

    /// Takes what a command's process says on its way.
    pub(super) fn hear_exec(&mut self, pid: i32) {
        loop {
            let Some(exec) = self.execs.iter_mut().find(|exec| exec.pid == pid) else {
                return;
            };
            let Some(channel) = &exec.channel else { return };
            match child::hear(channel) {
                Ok(Some((Word::User(_), _))) => {}
                Ok(Some((Word::Terminal, master))) => exec.terminal = master,
                Ok(Some((Word::Ready, _))) => exec.ready = true,
                Ok(Some((Word::Failed(error), _))) => exec.complaint = Some(error),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    exec.complaint = Some(format!("hear the command: {error}"));
                    break;
                }
            }
        }
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.pid == pid) else {
            return;
        };
        exec.channel = None;
        if exec.complaint.is_none() && exec.ready {
            let (client, terminal) = (exec.client, exec.terminal.take());
            if let Some(client) = self.clients.get_mut(&client) {
                client.answer(&Answer::Started, terminal);
            }
            self.flush(client);
        }
    }

    /// A command's process has ended.
    pub(super) fn exec_ended(&mut self, pid: i32, status: WaitStatus) {
        self.hear_exec(pid);
        let Some(at) = self.execs.iter().position(|exec| exec.pid == pid) else {
            return;
        };
        let exec = self.execs.remove(at);
        let (code, _) = outcome(status);
        if exec.ready && exec.complaint.is_none() {
            if let Some(client) = self.clients.get_mut(&exec.client) {
                client.answer(&Answer::Exited { code }, None);
                client.closing = true;
            }
            self.flush(exec.client);
            return;
        }
        let ended = format!("the process ended with {code} before its program ran");
        self.refuse(
            exec.client,
            FailureKind::Start,
            exec.complaint.unwrap_or(ended),
        );
    }
}
