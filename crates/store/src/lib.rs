//! A revisioned key-value log: get, range, txn, watch, compact. Bytes only.
//!
//! [`Store`] is the contract. [`Embedded`] keeps it on this machine's disk,
//! [`memory()`] on a simulated one for tests, [`etcd::Etcd`] on a cluster. A revision is a point in the
//! history of the whole keyspace; each committed transaction has one of its
//! own, and what it changed can be read, watched and compared as it was until
//! the history is compacted beyond it.

mod blob;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod copy;
pub mod disk;
mod embedded;
mod error;
pub mod etcd;
mod memory;
mod record;
mod revision;
mod span;
mod txn;
mod watch;

use async_trait::async_trait;

pub use blob::{Blob, Sharing};
pub use copy::{CopyError, copy};
pub use embedded::{Embedded, OpenError, Options, Stats};
pub use error::Error;
pub use memory::memory;
pub use record::Record;
pub use revision::Revision;
pub use span::{Page, Range, Span};
pub use txn::{Conflict, Guard, Op, Outcome, Txn};
pub use watch::{Batch, Change, Event, ProgressRequest, Watch, WatchFrom};

/// A revisioned key-value log.
///
/// Reads are linearizable: what a transaction committed before a read began,
/// the read sees.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The record at `key`, now or as it was at a revision; none if it did
    /// not exist then.
    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Record>, Error>;

    /// The records of a span in key order, all as of one revision.
    async fn range(&self, range: Range) -> Result<Page, Error>;

    /// Applies all operations under one new revision if every guard holds,
    /// and none otherwise. When this returns a commit, it is durable.
    async fn txn(&self, txn: Txn) -> Result<Outcome, Error>;

    /// The changes of a span after a revision, in order and without gaps.
    async fn watch(&self, from: WatchFrom) -> Result<Watch, Error>;

    /// Forgets what can only be seen by reading before `at`. Reads at `at`
    /// itself stay possible.
    async fn compact(&self, at: Revision) -> Result<(), Error>;

    /// The revision of the last commit.
    async fn revision(&self) -> Result<Revision, Error>;

    /// The revision below which nothing can be read any more.
    async fn compacted(&self) -> Result<Revision, Error>;

    /// Ends the store. Commits under way finish; afterwards everything fails
    /// with [`Error::Closed`] and watches end.
    async fn close(&self);
}
