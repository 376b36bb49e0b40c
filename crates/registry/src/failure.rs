//! What a failing store looks like to clients.

use meta::{Reason, Status};

/// A failure of the store as a Status: 503 when trying again may help. Of a
/// full disk clients hear at once, as upstream's do of etcd without space:
/// they would try again silently until they gave up.
pub(crate) fn store(error: store::Error) -> Status {
    tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    match error {
        store::Error::TooLarge { .. } => Status::new(
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: {error}"),
        ),
        store::Error::Closed | store::Error::Backend { .. } => Status::new(
            Reason::ServiceUnavailable,
            format!("the store is unavailable: {error}"),
        )
        .retry_after(1),
        other => Status::internal(other),
    }
}
