//! What a client shows of itself, and who makes a user of it.

use crate::User;
use async_trait::async_trait;

/// What came with a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The token of an `Authorization: Bearer` header.
    pub bearer: Option<&'a str>,
    /// The client's certificate chain in DER, leaf first; empty when it showed
    /// none. Whoever looks at it must verify it: the handshake has proved only
    /// that the client holds the leaf's key.
    pub certificates: &'a [Vec<u8>],
    /// The audiences that a token must be meant for; empty for the API server's own.
    pub audiences: &'a [String],
}

/// A credential that was shown and does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub String);

/// Somebody who can tell users from credentials.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The user; `None` when these credentials are not of a kind that this
    /// authenticator knows.
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected>;
}
