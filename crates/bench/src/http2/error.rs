//! What goes wrong on a connection.

/// A connection or a request on it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came about.
    #[error("connect to {to}")]
    Connect {
        /// The server.
        to: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The server does not speak HTTP/2.
    #[error("the server does not offer HTTP/2")]
    NotHttp2,
    /// The connection broke.
    #[error("read from or write to the server")]
    Broken(#[source] std::io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server ended the connection or a stream with an error.
    #[error("the server sent {what} with code {code}")]
    Ended {
        /// GOAWAY or RST_STREAM.
        what: &'static str,
        /// The code of HTTP/2.
        code: u32,
    },
    /// The answer is not what was asked for.
    #[error("unexpected answer to {request}: {body}")]
    Unexpected {
        /// Method and path.
        request: String,
        /// The answer's beginning.
        body: String,
    },
}
