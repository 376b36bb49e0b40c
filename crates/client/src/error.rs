//! Why a call failed, with the server's own `Status` kept whole.

use crate::transport::TransportError;
use http::Method;
use std::time::Duration;
use typed::DecodeError;
use typed::meta::Status;

/// The reasons that a `Status` gives, as upstream spells them.
pub mod reason {
    /// The object exists already.
    pub const ALREADY_EXISTS: &str = "AlreadyExists";
    /// The object was changed by somebody else.
    pub const CONFLICT: &str = "Conflict";
    /// The resource version lies too far back.
    pub const EXPIRED: &str = "Expired";
    /// Authenticated, but not allowed.
    pub const FORBIDDEN: &str = "Forbidden";
    /// The resource version lies too far back, or the resource is gone.
    pub const GONE: &str = "Gone";
    /// The object is not valid.
    pub const INVALID: &str = "Invalid";
    /// The verb is not supported.
    pub const METHOD_NOT_ALLOWED: &str = "MethodNotAllowed";
    /// No such object.
    pub const NOT_FOUND: &str = "NotFound";
    /// The namespace is being deleted (a cause, not a reason).
    pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
    /// Too many requests; try later.
    pub const TOO_MANY_REQUESTS: &str = "TooManyRequests";
    /// Who are you?
    pub const UNAUTHORIZED: &str = "Unauthorized";
}

/// A call to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came.
    #[error("{method} {path}")]
    Transport {
        /// The HTTP method.
        method: Method,
        /// Path and query.
        path: String,
        /// Why there is no answer.
        #[source]
        source: TransportError,
    },
    /// The server refused.
    #[error("{method} {path}: {}", .status.message.as_deref().unwrap_or("no message"))]
    Status {
        /// The HTTP method.
        method: Method,
        /// Path and query.
        path: String,
        /// The server's words.
        status: Box<Status>,
    },
    /// The server's answer is not what it should be.
    #[error("{method} {path}: read answer")]
    Decode {
        /// The HTTP method.
        method: Method,
        /// Path and query.
        path: String,
        /// What does not fit.
        #[source]
        source: DecodeError,
    },
    /// A watch sent something that is not an event.
    #[error("watch {path}: {message}")]
    Frame {
        /// Path and query.
        path: String,
        /// What does not fit.
        message: String,
    },
    /// The caller asked for one object of a namespaced resource and gave no namespace, or for an
    /// object without a name.
    #[error("{resource}: {problem}")]
    Address {
        /// The resource.
        resource: String,
        /// What is missing.
        problem: &'static str,
    },
}

impl Error {
    /// The server's words, if it was the server that refused.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The HTTP status code of the refusal.
    pub fn code(&self) -> Option<i32> {
        self.status()?.code
    }

    /// The reason of the refusal.
    pub fn reason(&self) -> &str {
        self.status()
            .and_then(|status| status.reason.as_deref())
            .unwrap_or_default()
    }

    /// The refusal's message, without what was asked for.
    pub fn message(&self) -> String {
        match self.status().and_then(|status| status.message.clone()) {
            Some(message) => message,
            None => chain(self),
        }
    }

    /// Whether the object was changed by somebody else.
    pub fn is_conflict(&self) -> bool {
        self.reason() == reason::CONFLICT
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.reason() == reason::NOT_FOUND
    }

    /// Whether there is already such an object.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == reason::ALREADY_EXISTS
    }

    /// Whether the server found the object invalid.
    pub fn is_invalid(&self) -> bool {
        self.reason() == reason::INVALID
    }

    /// Whether the caller may not do this.
    pub fn is_forbidden(&self) -> bool {
        self.reason() == reason::FORBIDDEN
    }

    /// Whether the resource does not know the verb.
    pub fn is_method_not_allowed(&self) -> bool {
        self.reason() == reason::METHOD_NOT_ALLOWED
    }

    /// Whether the resource version lies too far back, so that one has to list again.
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), reason::EXPIRED | reason::GONE) || self.code() == Some(410)
    }

    /// Whether the server asks to slow down.
    pub fn is_too_many_requests(&self) -> bool {
        self.reason() == reason::TOO_MANY_REQUESTS || self.code() == Some(429)
    }

    /// Whether the refusal is because the namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        self.is_forbidden() && self.has_cause(reason::NAMESPACE_TERMINATING)
    }

    /// Whether the refusal names this cause.
    pub fn has_cause(&self, cause: &str) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        let mut causes = details
            .and_then(|details| details.causes.as_ref())
            .into_iter()
            .flatten();
        causes.any(|found| found.reason.as_deref() == Some(cause))
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.status()?.details.as_ref()?.retry_after_seconds?;
        u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs)
    }
}

/// An error with all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
