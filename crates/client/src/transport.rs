//! The seam: a request goes in, a response comes out, and nobody above knows what lies below.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, Method, StatusCode};

/// A cause of which only the text matters.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A way to the API server, under one identity.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Performs one exchange. Answers of any status are `Ok`; an error means that no answer came.
    async fn call(&self, request: Request) -> Result<Response, TransportError>;
}

/// A request to the API server.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Headers; the transport adds those of authentication.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The API server's answer.
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// A response's body, in the form in which the transport has it.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// Pieces, cut anywhere, as they come from a socket.
    Stream(BoxStream<'static, Result<Bytes, TransportError>>),
    /// A watch whose events need no framing: the fast path within a process. The objects are whole
    /// JSON documents, shared with the server.
    Events(BoxStream<'static, Result<WatchEvent, TransportError>>),
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventType,
    /// The object; for an error, a `Status`.
    pub object: Bytes,
}

/// What a watch event says of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It appeared, in the cluster or in the selection.
    Added,
    /// It changed.
    Modified,
    /// It went, from the cluster or from the selection.
    Deleted,
    /// Only its resource version counts: everything up to there was sent.
    Bookmark,
    /// It is a `Status` that says why the watch ends.
    Error,
}

impl EventType {
    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }

    /// Reads the spelling of the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Added,
            Self::Modified,
            Self::Deleted,
            Self::Bookmark,
            Self::Error,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// No answer came, or it broke off.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection to the server.
    #[error("connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The request could not be formed.
    #[error("form request for {path}")]
    Form {
        /// Path and query.
        path: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The exchange broke off before the answer's head.
    #[error("exchange with {address}")]
    Exchange {
        /// Host and port.
        address: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The answer's body broke off.
    #[error("read response body")]
    Body(#[source] BoxError),
    /// A credential could not be read.
    #[error("read credential from {path}")]
    Credential {
        /// The file.
        path: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The server within this process has ended.
    #[error("server is shut down")]
    Closed,
}
