//! A connection of the runtime, seen from the monitor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux::fdpass;
use rustix::io::Errno;

use crate::protocol::{Answer, FailureKind, Inbox, encode};

/// Bytes of answers that may wait for a client before it is dropped.
const WAITING_MAX: usize = 1 << 20;

/// One connection.
pub(super) struct Client {
    socket: OwnedFd,
    pub(super) inbox: Inbox,
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    /// Whether it is told of changes.
    pub(super) subscribed: bool,
    /// Whether it is closed once its answers are out.
    pub(super) closing: bool,
}

impl Client {
    pub(super) fn new(socket: OwnedFd) -> Client {
        Client {
            socket,
            inbox: Inbox::default(),
            outbox: VecDeque::new(),
            subscribed: false,
            closing: false,
        }
    }

    /// Reads what is there; false when the client has gone.
    pub(super) fn receive(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match fdpass::receive(&self.socket, &mut buffer) {
                Ok((0, _)) => return false,
                Ok((length, fds)) => self.inbox.add(&buffer[..length], fds),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Queues an answer.
    pub(super) fn answer(&mut self, answer: &Answer, fd: Option<OwnedFd>) {
        match encode(answer) {
            Ok(bytes) => self.outbox.push_back((bytes, fd)),
            Err(error) => eprintln!("cannot encode an answer: {error}"),
        }
    }

    /// Queues a refusal, after which the connection closes.
    pub(super) fn refuse(&mut self, kind: FailureKind, message: String) {
        self.answer(&Answer::Failed { kind, message }, None);
        self.closing = true;
    }

    /// Sends what the socket takes; false when the client has gone or does not read.
    pub(super) fn flush(&mut self) -> bool {
        while let Some((bytes, fd)) = self.outbox.front_mut() {
            let fds: Vec<_> = fd.as_ref().map(AsFd::as_fd).into_iter().collect();
            match fdpass::send(&self.socket, bytes, &fds) {
                Ok(sent) if sent == bytes.len() => {
                    self.outbox.pop_front();
                }
                Ok(sent) => {
                    bytes.drain(..sent);
                    *fd = None;
                }
                Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => {
                    return self.waiting() <= WAITING_MAX;
                }
                Err(_) => return false,
            }
        }
        !self.closing
    }

    fn waiting(&self) -> usize {
        self.outbox.iter().map(|(bytes, _)| bytes.len()).sum()
    }

    pub(super) fn wants_to_write(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
