//! Requests of the runtime, dispatched.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::Monitor;
use super::exec::Wanted;
use super::log::Stream;
use super::streams::Sink;
use crate::protocol::{Answer, FailureKind, Operation, Record, Request, VERSION};

const SIGKILL: i32 = 9;

impl Monitor {
    /// Reads and answers a client, and notices that it has gone.
    pub(super) fn serve(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let open = client.receive();
        loop {
            let Some(client) = self.clients.get_mut(&id) else {
                return;
            };
            match client.inbox.take::<Request>() {
                Ok(Some(request)) => self.dispatch(id, request),
                Ok(None) => break,
                Err(error) => {
                    client.refuse(
                        FailureKind::Other,
                        format!("cannot read the request: {error}"),
                    );
                    break;
                }
            }
        }
        if open {
            self.flush(id);
        } else {
            self.leave(id);
        }
    }

    /// Sends what waits for a client; one that is done or gone is dropped.
    pub(super) fn flush(&mut self, id: u64) {
        let gone = self
            .clients
            .get_mut(&id)
            .is_some_and(|client| !client.flush());
        if gone {
            self.leave(id);
        }
    }

    fn leave(&mut self, id: u64) {
        self.clients.remove(&id);
        for container in self.containers.values_mut() {
            container.streams.leave(id);
            container.attached.retain(|client| *client != id);
        }
        for exec in self
            .execs
            .iter()
            .filter(|exec| exec.client == id && exec.kill_on_close)
        {
            exec.kill();
        }
    }

    /// Answers with a failure.
    pub(super) fn refuse(&mut self, id: u64, kind: FailureKind, message: String) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.refuse(kind, message);
        }
        self.flush(id);
    }

    fn done(&mut self, id: u64, fd: Option<OwnedFd>) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.answer(&Answer::Done, fd);
        }
    }

    /// Tells subscribers what the container's record says.
    pub(super) fn tell_changed(&mut self, container: &str) {
        let record = self.containers.get(container).map(|one| one.record.clone());
        if let Some(record) = record {
            self.tell_record(container, record);
        }
    }

    pub(super) fn tell_record(&mut self, container: &str, record: Record) {
        let subscribers: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, one)| one.subscribed)
            .map(|(id, _)| *id)
            .collect();
        let changed = Answer::Changed {
            container: container.to_owned(),
            record,
        };
        for id in subscribers {
            if let Some(client) = self.clients.get_mut(&id) {
                client.answer(&changed, None);
            }
            self.flush(id);
        }
    }

    fn dispatch(&mut self, id: u64, request: Request) {
        if request.version > VERSION {
            let message = format!("version {} is newer than {VERSION}", request.version);
            return self.refuse(id, FailureKind::Other, message);
        }
        let fds = self
            .clients
            .get_mut(&id)
            .map(|one| one.inbox.take_fds())
            .unwrap_or_default();
        match request.operation {
            Operation::Hello => {
                let pid = rustix::process::getpid().as_raw_nonzero().get();
                if let Some(client) = self.clients.get_mut(&id) {
                    client.answer(
                        &Answer::Hello {
                            version: VERSION,
                            pid,
                        },
                        None,
                    );
                }
            }
            Operation::Subscribe => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.subscribed = true;
                }
                self.done(id, None);
            }
            Operation::Start { container } => self.start_container(id, &container),
            Operation::Signal { container, signal } => self.signal(id, &container, signal),
            Operation::ReopenLog { container } => self.reopen_log(id, &container),
            Operation::Exec {
                container,
                command,
                tty,
                size,
                kill_on_close,
            } => {
                let wanted = Wanted {
                    container,
                    command,
                    tty,
                    size,
                    kill_on_close,
                    fds,
                };
                self.exec(id, wanted);
            }
            Operation::Attach {
                container,
                stdin,
                stdout,
                stderr,
            } => {
                self.attach(id, &container, [stdin, stdout, stderr], fds);
            }
            Operation::Resize { container, size } => self.resize(id, &container, size),
            Operation::Connect { port, ipv6 } => self.connect(id, port, ipv6),
            Operation::Forget { container } => self.forget(id, &container),
            Operation::Stop => self.stop(Some(id)),
        }
    }

    fn signal(&mut self, client: u64, id: &str, signal: i32) {
        let Some(container) = self.containers.get(id) else {
            return self.not_found(client, id);
        };
        if signal == SIGKILL {
            container.kill();
        } else if let Some(pid) = container.pid().filter(|_| container.running()) {
            // It may have ended, which is what was wanted.
            let _ = linux::process::kill(pid, signal);
        }
        self.done(client, None);
    }

    fn reopen_log(&mut self, client: u64, id: &str) {
        let Some(container) = self.containers.get_mut(id) else {
            return self.not_found(client, id);
        };
        match container.log.reopen() {
            Ok(()) => self.done(client, None),
            Err(error) => {
                self.refuse(
                    client,
                    FailureKind::Other,
                    format!("reopen the log: {error}"),
                );
            }
        }
    }

    fn attach(&mut self, client: u64, id: &str, wanted: [bool; 3], fds: Vec<OwnedFd>) {
        let Some(container) = self.containers.get_mut(id).filter(|one| one.running()) else {
            let message = format!("container {id:?} is not running");
            return self.refuse(client, FailureKind::WrongState, message);
        };
        let mut fds = fds.into_iter();
        let [stdin, stdout, stderr] = wanted.map(|wanted| if wanted { fds.next() } else { None });
        let streams = &mut container.streams;
        for (fd, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
            let exists = streams.outputs.iter().any(|output| output.stream == stream);
            let Some(fd) = fd.filter(|_| exists) else {
                continue;
            };
            match Sink::new(fd, client, stream) {
                Ok(sink) => streams.sinks.push(sink),
                Err(error) => {
                    streams.leave(client);
                    return self.refuse(client, FailureKind::Other, format!("attach: {error}"));
                }
            }
        }
        if let (Some(input), Some(fd)) = (&mut streams.input, stdin)
            && let Err(error) = input.feed(client, fd)
        {
            streams.leave(client);
            return self.refuse(client, FailureKind::Other, format!("attach: {error}"));
        }
        container.attached.push(client);
        self.done(client, None);
    }

    fn resize(&mut self, client: u64, id: &str, size: crate::runtime::TerminalSize) {
        let Some(container) = self.containers.get(id) else {
            return self.not_found(client, id);
        };
        if let Some(terminal) = &container.terminal {
            use std::os::fd::AsFd as _;
            if let Err(error) = super::child::set_size(terminal.as_fd(), size) {
                return self.refuse(client, FailureKind::Other, format!("resize: {error}"));
            }
        }
        self.done(client, None);
    }

    /// The socket is made here, in the sandbox's network, and is connecting when it
    /// is handed over: waiting is the runtime's business.
    fn connect(&mut self, client: u64, port: u16, ipv6: bool) {
        match start_connecting(port, ipv6) {
            Ok(socket) => self.done(client, Some(socket)),
            Err(error) => {
                self.refuse(
                    client,
                    FailureKind::Other,
                    format!("connect to port {port}: {error}"),
                );
            }
        }
    }

    fn forget(&mut self, client: u64, id: &str) {
        if let Some(container) = self.containers.get(id) {
            if container.pid().is_some() {
                let message = format!("container {id:?} is running");
                return self.refuse(client, FailureKind::WrongState, message);
            }
            if let Err(error) = container.group.remove() {
                let message = super::container::chain(&error);
                return self.refuse(client, FailureKind::Other, message);
            }
            self.containers.remove(id);
        }
        self.done(client, None);
    }

    fn not_found(&mut self, client: u64, id: &str) {
        self.refuse(
            client,
            FailureKind::NotFound,
            format!("container {id:?} not found"),
        );
    }
}

fn start_connecting(port: u16, ipv6: bool) -> rustix::io::Result<OwnedFd> {
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    let (family, address): (_, SocketAddr) = if ipv6 {
        (AddressFamily::INET6, (Ipv6Addr::LOCALHOST, port).into())
    } else {
        (AddressFamily::INET, (Ipv4Addr::LOCALHOST, port).into())
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
