//! Transactions: compare some keys, then change some, all or nothing.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;

use crate::{Error, Record, Revision};

/// Operations that happen together under conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// What must be so.
    pub guards: Vec<Guard>,
    /// What then happens. No key may be changed twice.
    pub ops: Vec<Op>,
}

/// What must be so for a transaction to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The key does not exist.
    Absent {
        /// The key.
        key: Bytes,
    },
    /// The key exists and was last written by this commit.
    Unchanged {
        /// The key.
        key: Bytes,
        /// The commit that wrote it.
        modified: Revision,
    },
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value, whether or not the key exists.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// After this time the store deletes the key by itself, unless it is
        /// written again. None keeps it, also if it was to expire before.
        ttl: Option<Duration>,
    },
    /// Deletes a key. Deleting what does not exist changes nothing and makes
    /// no event.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All operations happened at this revision. If they changed nothing it
    /// is the revision that was current.
    Committed(Revision),
    /// A guard did not hold; nothing happened.
    Conflict(Conflict),
}

/// Why a transaction did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The revision at which the guards were looked at.
    pub revision: Revision,
    /// The keys of the guards that did not hold, with what is there instead,
    /// in the order of the guards.
    pub current: Vec<(Bytes, Option<Record>)>,
}

impl Txn {
    /// Makes `key` exist if it does not.
    pub fn create(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        let key = key.into();
        Self::default().absent(key.clone()).put(key, value)
    }

    /// Writes `key` if it is still as the commit `modified` left it.
    pub fn update(key: impl Into<Bytes>, modified: Revision, value: impl Into<Bytes>) -> Self {
        let key = key.into();
        Self::default()
            .unchanged(key.clone(), modified)
            .put(key, value)
    }

    /// Deletes `key` if it is still as the commit `modified` left it.
    pub fn remove(key: impl Into<Bytes>, modified: Revision) -> Self {
        let key = key.into();
        Self::default().unchanged(key.clone(), modified).delete(key)
    }

    /// Adds the condition that `key` does not exist.
    #[must_use]
    pub fn absent(mut self, key: impl Into<Bytes>) -> Self {
        self.guards.push(Guard::Absent { key: key.into() });
        self
    }

    /// Adds the condition that `key` is as the commit `modified` left it.
    #[must_use]
    pub fn unchanged(mut self, key: impl Into<Bytes>, modified: Revision) -> Self {
        let key = key.into();
        self.guards.push(Guard::Unchanged { key, modified });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn put(self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.put_for(key, value, None)
    }

    /// Adds a write of something that expires.
    #[must_use]
    pub fn put_for(
        mut self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Self {
        let (key, value) = (key.into(), value.into());
        self.ops.push(Op::Put { key, value, ttl });
        self
    }

    /// Adds a deletion.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Bytes>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// The bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        let of_op = |op: &Op| match op {
            Op::Put { key, value, .. } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
        };
        self.ops.iter().map(of_op).sum()
    }
}

impl Guard {
    /// Whether it holds for a key that was last written by this commit, or
    /// that does not exist.
    pub fn holds(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Absent { .. } => current.is_none(),
            Self::Unchanged { modified, .. } => current == Some(*modified),
        }
    }

    /// The key that is looked at.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Absent { key } | Self::Unchanged { key, .. } => key,
        }
    }
}

impl Op {
    /// The key that is changed.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

impl Outcome {
    /// The revision, if the transaction happened.
    pub fn committed(self) -> Option<Revision> {
        match self {
            Self::Committed(revision) => Some(revision),
            Self::Conflict(_) => None,
        }
    }
}

/// Refuses a transaction that changes a key twice.
pub(crate) fn check_keys(txn: &Txn) -> Result<(), Error> {
    if txn.ops.len() < 2 {
        return Ok(());
    }
    let mut seen: HashSet<&Bytes> = HashSet::with_capacity(txn.ops.len());
    match txn.ops.iter().find(|op| !seen.insert(op.key())) {
        Some(op) => Err(Error::DuplicateKey {
            key: op.key().clone(),
        }),
        None => Ok(()),
    }
}
