//! A connection to a monitor.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use linux::fdpass;
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::error::{Error, Result};
use crate::layout::SandboxDir;
use crate::protocol::{Answer, FailureKind, Inbox, Operation, Request, VERSION, encode};

/// One connection, which carries one request.
pub(super) struct Link {
    stream: UnixStream,
    inbox: Inbox,
}

impl Link {
    /// Connects through the directory's descriptor, as its path may be longer than
    /// an address of a unix socket can be.
    pub(super) async fn open(directory: &SandboxDir) -> io::Result<Link> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&directory.0, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{}", fd.as_raw_fd(), SandboxDir::SOCKET);
        let stream = UnixStream::connect(path).await?;
        Ok(Link {
            stream,
            inbox: Inbox::default(),
        })
    }

    /// Sends a request with descriptors.
    pub(super) async fn send(
        &mut self,
        operation: Operation,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = encode(&Request {
            version: VERSION,
            operation,
        })?;
        let mut sent = 0;
        while sent < bytes.len() {
            let fds = if sent == 0 { fds } else { &[] };
            let send = || fdpass::send(&self.stream, &bytes[sent..], fds);
            sent += self.stream.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }

    /// The next answer. The end of the connection is `UnexpectedEof`.
    pub(super) async fn receive(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(answer) = self.inbox.take()? {
                return Ok(answer);
            }
            let mut buffer = [0; 4096];
            let receive = || fdpass::receive(&self.stream, &mut buffer);
            let (length, fds) = self.stream.async_io(Interest::READABLE, receive).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.inbox.add(&buffer[..length], fds);
        }
    }

    /// The descriptors that came with answers.
    pub(super) fn take_fds(&mut self) -> Vec<OwnedFd> {
        self.inbox.take_fds()
    }
}

/// A monitor that is asked on behalf of somebody.
pub(super) struct Asked<'a> {
    pub(super) sandbox: &'a str,
    pub(super) directory: &'a SandboxDir,
    /// For error messages: what is being done.
    pub(super) operation: &'static str,
}

impl Asked<'_> {
    /// Asks, and waits for the first answer, which must not be a refusal.
    pub(super) async fn ask(
        &self,
        operation: Operation,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Link, Answer)> {
        let mut link = Link::open(self.directory)
            .await
            .map_err(|error| self.failed(error))?;
        link.send(operation, fds)
            .await
            .map_err(|error| self.failed(error))?;
        let answer = self.next(&mut link).await?;
        Ok((link, answer))
    }

    /// The next answer, which must not be a refusal.
    pub(super) async fn next(&self, link: &mut Link) -> Result<Answer> {
        match link.receive().await.map_err(|error| self.failed(error))? {
            Answer::Failed { kind, message } => Err(self.refused(kind, message)),
            answer => Ok(answer),
        }
    }

    pub(super) fn failed(&self, source: io::Error) -> Error {
        Error::Monitor {
            sandbox: self.sandbox.to_owned(),
            operation: self.operation,
            source,
        }
    }

    fn refused(&self, kind: FailureKind, message: String) -> Error {
        match kind {
            FailureKind::Start => Error::Start(message),
            FailureKind::NotFound | FailureKind::WrongState | FailureKind::Other => Error::Failed {
                operation: self.operation,
                message,
            },
        }
    }
}
