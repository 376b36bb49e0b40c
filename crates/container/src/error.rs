//! What can go wrong with a sandbox or a container, as the kubelet must tell it apart.

use std::path::PathBuf;

/// The result of every operation of a [`Runtime`](crate::Runtime).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a sandbox or container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no sandbox or container of that id.
    #[error("{what} {id:?} not found")]
    NotFound {
        /// "sandbox" or "container".
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The operation does not fit the state, such as starting what already ran.
    #[error("{what} {id:?} is {state}, cannot {operation}")]
    WrongState {
        /// "sandbox" or "container".
        what: &'static str,
        /// Its id.
        id: String,
        /// The state it is in.
        state: String,
        /// What was asked.
        operation: &'static str,
    },
    /// The configuration can never work.
    #[error("invalid {field}: {message}")]
    Invalid {
        /// The field of the configuration, as spelt in [`config`](crate::config).
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// This runtime or this kernel does not have the feature.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A process could not be set up or its program not be run. The container
    /// is left EXITED with code 128 and reason `StartError`.
    #[error("{0}")]
    Start(String),
    /// The time that the caller allowed has passed; what ran was killed.
    #[error("{operation} timed out after {after_ms} ms")]
    Timeout {
        /// What was under way.
        operation: &'static str,
        /// How long it was allowed to take.
        after_ms: u64,
    },
    /// The monitor of the sandbox is gone or does not answer.
    #[error("sandbox {sandbox:?}: cannot {operation} through its monitor")]
    Monitor {
        /// The sandbox.
        sandbox: String,
        /// What was asked of the monitor.
        operation: &'static str,
        /// Why it did not answer.
        #[source]
        source: std::io::Error,
    },
    /// The monitor, or a remote runtime, reports a failure of its own.
    #[error("{operation}: {message}")]
    Failed {
        /// What was asked.
        operation: &'static str,
        /// What it answered.
        message: String,
    },
    /// A file or directory of the runtime could not be used.
    #[error("cannot {operation} {path:?}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file of the runtime does not hold what it should.
    #[error("{path:?} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A stream of exec, attach or port-forward broke.
    #[error("stream of {operation} broke")]
    Stream {
        /// "exec", "attach" or "port-forward".
        operation: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// A sandbox that is not there.
    pub fn no_sandbox(id: &str) -> Error {
        Error::NotFound {
            what: "sandbox",
            id: id.to_owned(),
        }
    }

    /// A container that is not there.
    pub fn no_container(id: &str) -> Error {
        Error::NotFound {
            what: "container",
            id: id.to_owned(),
        }
    }

    /// Whether the thing asked for does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }

    /// The message followed by those of its causes, for a status or an event.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
