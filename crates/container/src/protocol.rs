//! What the runtime and the monitor of a sandbox say to each other.
//!
//! A message is four bytes of length (little endian) and JSON. A connection
//! carries one request; its answers come back on it. File descriptors travel
//! with the first byte of their message. The monitor may be older or newer than
//! the runtime that talks to it, so messages only ever gain optional fields, and
//! [`VERSION`] grows only when an old one can no longer be understood.

use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::runtime::TerminalSize;
use crate::status::{ContainerState, ContainerUser, EXIT_UNKNOWN, reason};

/// The version of this protocol.
pub const VERSION: u32 = 1;
/// Longest message that is taken.
pub const LENGTH_MAX: usize = 4 << 20;

/// A request with the version of who asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// What is asked.
    pub operation: Operation,
}

/// What can be asked of a monitor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Operation {
    /// Who are you: [`Answer::Hello`].
    Hello,
    /// [`Answer::Done`], then an [`Answer::Changed`] for each change.
    Subscribe,
    /// Run a container whose directory is prepared: `Done` when its program runs.
    Start {
        /// Its id.
        container: String,
    },
    /// Send a signal to a container's first process. SIGKILL goes to all of them.
    Signal {
        /// Its id.
        container: String,
        /// The signal's number.
        signal: i32,
    },
    /// Open a container's log file anew.
    ReopenLog {
        /// Its id.
        container: String,
    },
    /// Run a command: [`Answer::Started`] (with the terminal's master), then
    /// [`Answer::Exited`]. Without a terminal the descriptors are its standard streams.
    Exec {
        /// In which container.
        container: String,
        /// Program and arguments.
        command: Vec<String>,
        /// Whether it gets a terminal.
        tty: bool,
        /// The terminal's first size.
        size: Option<TerminalSize>,
        /// Whether it is killed when the connection closes.
        kill_on_close: bool,
    },
    /// Connect the descriptors, in this order, to a container's streams: `Done`,
    /// then `Exited` when the container ends.
    Attach {
        /// Which container.
        container: String,
        /// Whether the first descriptor is standard input.
        stdin: bool,
        /// Whether the next is standard output.
        stdout: bool,
        /// Whether the next is standard error.
        stderr: bool,
    },
    /// Set the size of a container's terminal.
    Resize {
        /// Which container.
        container: String,
        /// The size.
        size: TerminalSize,
    },
    /// A socket that is being connected to this port of the sandbox's loopback
    /// address: `Done` with the descriptor.
    Connect {
        /// TCP port.
        port: u16,
        /// Whether to `::1` instead of `127.0.0.1`.
        ipv6: bool,
    },
    /// Forget an ended container.
    Forget {
        /// Its id.
        container: String,
    },
    /// Kill all containers, answer `Done` when they are gone, and end.
    Stop,
}

/// What a monitor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To `Hello`.
    Hello {
        /// [`VERSION`] of the monitor.
        version: u32,
        /// Its process id.
        pid: i32,
    },
    /// It is done.
    Done,
    /// It could not be done.
    Failed {
        /// Which kind of failure.
        kind: FailureKind,
        /// Why.
        message: String,
    },
    /// A container started or ended.
    Changed {
        /// Its id.
        container: String,
        /// What its record says now.
        record: Record,
    },
    /// The command of `Exec` runs.
    Started,
    /// The command of `Exec`, or the container of `Attach`, has ended.
    Exited {
        /// 128 + signal when killed.
        code: i32,
    },
}

/// Kinds of failure that the caller tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// No such container.
    NotFound,
    /// The container is not in a state for it.
    WrongState,
    /// The program could not be run.
    Start,
    /// Everything else.
    Other,
}

/// What is known of a container, kept in its directory and told to subscribers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where it is in its life.
    pub state: ContainerState,
    /// Which attempt of the pod's container this is.
    #[serde(default)]
    pub attempt: u32,
    /// Process id while running.
    #[serde(default)]
    pub pid: Option<i32>,
    /// Nanoseconds since 1970.
    #[serde(default)]
    pub started_ns: Option<i64>,
    /// Nanoseconds since 1970.
    #[serde(default)]
    pub finished_ns: Option<i64>,
    /// 128 + signal when killed.
    #[serde(default)]
    pub exit_code: i32,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Whether the out-of-memory killer struck.
    #[serde(default)]
    pub oom: bool,
    /// Overrides the reason that follows from the rest.
    #[serde(default)]
    pub reason: String,
    /// More than the reason can say.
    #[serde(default)]
    pub message: String,
    /// The user it runs as.
    #[serde(default)]
    pub user: Option<ContainerUser>,
}

impl Record {
    /// Of a container of whose end nobody knows, as after a power cut.
    pub fn unknown(attempt: u32) -> Record {
        Record {
            state: ContainerState::Exited,
            exit_code: EXIT_UNKNOWN,
            reason: reason::UNKNOWN.to_owned(),
            message: "nobody saw how the container ended".to_owned(),
            ..Record::created(attempt)
        }
    }

    /// Of a container that was never started.
    pub fn created(attempt: u32) -> Record {
        Record {
            state: ContainerState::Created,
            attempt,
            pid: None,
            started_ns: None,
            finished_ns: None,
            exit_code: 0,
            signal: None,
            oom: false,
            reason: String::new(),
            message: String::new(),
            user: None,
        }
    }
}

/// A message with its length in front.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Collects bytes and descriptors until messages are complete.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Inbox {
    /// Adds what was received.
    pub fn add(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.bytes.extend_from_slice(bytes);
        self.fds.extend(fds);
    }

    /// The next complete message.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(length) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LENGTH_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the message is too long",
            ));
        }
        let Some(body) = self.bytes.get(4..4 + length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }

    /// The descriptors that have come so far.
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_pieces() {
        let bytes = encode(&Request {
            version: VERSION,
            operation: Operation::Hello,
        })
        .unwrap();
        let mut inbox = Inbox::default();
        for (at, byte) in bytes.iter().enumerate() {
            inbox.add(&[*byte], Vec::new());
            let message = inbox.take::<Request>().unwrap();
            assert_eq!(message.is_some(), at + 1 == bytes.len());
        }
        inbox.add(&u32::MAX.to_le_bytes(), Vec::new());
        assert!(inbox.take::<Request>().is_err());
    }

    #[test]
    fn a_record_of_the_future_is_read() {
        let text = r#"{"state": "Exited", "exit_code": 3, "invented_later": {"x": 1}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(
            (record.state, record.exit_code),
            (ContainerState::Exited, 3)
        );
    }
}
