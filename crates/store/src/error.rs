//! The ways in which a store can fail.

use std::{io, sync::Arc};

use bytes::Bytes;

use crate::Revision;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The history before `compacted` is gone.
    #[error("revision {requested} has been compacted; the history begins at {compacted}")]
    Compacted {
        /// The revision that was asked for.
        requested: Revision,
        /// The first revision that can be read.
        compacted: Revision,
    },
    /// The revision does not exist yet.
    #[error("revision {requested} lies in the future; the current one is {current}")]
    Future {
        /// The revision that was asked for.
        requested: Revision,
        /// The revision of the last commit.
        current: Revision,
    },
    /// A transaction changes a key twice.
    #[error("the transaction changes key {} twice", key.escape_ascii())]
    DuplicateKey {
        /// The key.
        key: Bytes,
    },
    /// A transaction is larger than the store takes.
    #[error("the transaction has {bytes} bytes, more than the {max} that the store takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        max: usize,
    },
    /// The disk is full. Nothing happened.
    #[error("no space left to write {file}")]
    NoSpace {
        /// The file that could not grow.
        file: String,
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The log could not be written. The transaction has not happened for
    /// anyone who reads this store; after a crash it may be found to have.
    #[error("writing {file}")]
    Write {
        /// The file.
        file: String,
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An old version could not be read.
    #[error("reading {file} at offset {offset}")]
    Read {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An old version is not what was written.
    #[error("{file} is damaged at offset {offset}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The cluster that keeps the data did not do what was asked.
    #[error("{operation} at the etcd cluster")]
    Backend {
        /// What was asked.
        operation: &'static str,
        /// Whether it may have happened all the same.
        unknown: bool,
        /// What the cluster or the connection said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether a transaction that failed so may have happened all the same.
    pub fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::Write { .. } | Self::Backend { unknown: true, .. }
        )
    }
}
