//! A batch of transactions, decided and encoded before any of it is written.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    Request,
    entry::{self, CHANGE_OVERHEAD, ENTRY_OVERHEAD, Expiry, FileId, Location, Prev, PutFields},
    frame::FrameWriter,
    index::{Commit, Current, Index},
    writer::Active,
};
use crate::blob::Pool;
use crate::{Conflict, Error, Guard, Op, Outcome, Revision, Txn};

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What a batch will do once it is durable.
pub(super) struct Batch<'a> {
    index: &'a Index,
    pool: &'a Pool,
    file: FileId,
    offset: u64,
    now_ms: i64,
    revision: Revision,
    /// What keys are after the transactions so far.
    changed: HashMap<Bytes, Option<Current>>,
    commits: Vec<Commit>,
    compact: Option<Revision>,
    answers: Vec<Answer>,
}

/// Who waits for a batch, and for what.
pub(super) enum Answer {
    Txn(Reply<Outcome>, Result<Outcome, Error>),
    Compact(Reply<()>, Result<(), Error>),
}

/// An upper bound of the bytes that a transaction takes in the log.
pub(super) fn bound(txn: &Txn) -> usize {
    ENTRY_OVERHEAD + CHANGE_OVERHEAD * txn.ops.len() + txn.bytes()
}

impl<'a> Batch<'a> {
    /// Nothing yet, on top of an index.
    pub(super) fn new(index: &'a Index, pool: &'a Pool, active: &Active, now_ms: i64) -> Self {
        Self {
            index,
            pool,
            file: active.id,
            offset: active.offset,
            now_ms,
            revision: index.revision,
            changed: HashMap::new(),
            commits: Vec::new(),
            compact: None,
            answers: Vec::new(),
        }
    }

    /// Decides each request as if those before it had been done, and encodes
    /// what is to be done.
    pub(super) fn evaluate(
        mut self,
        requests: Vec<Request>,
        due_compaction: Option<Revision>,
        buffer: &mut Vec<u8>,
        active: &Active,
    ) -> (Vec<Commit>, Option<Revision>, Vec<Answer>) {
        let mut frames = FrameWriter::new(buffer, active.nonce, active.batch);
        if let Some(at) = due_compaction {
            // An error means that it has been compacted further already.
            let _ = self.compact(at, &mut frames);
        }
        for request in requests {
            let answer = match request {
                Request::Txn { txn, reply, .. } => {
                    Answer::Txn(reply, Ok(self.txn(txn, &mut frames)))
                }
                Request::Compact { at, reply } => {
                    Answer::Compact(reply, self.compact(at, &mut frames))
                }
                Request::Checkpointed(_) | Request::Close { .. } => {
                    unreachable!("only transactions and compactions come in batches")
                }
            };
            self.answers.push(answer);
        }
        frames.finish();
        (self.commits, self.compact, self.answers)
    }

    fn txn(&mut self, txn: Txn, frames: &mut FrameWriter<'_>) -> Outcome {
        if let Some(conflict) = self.conflict(&txn.guards) {
            return Outcome::Conflict(conflict);
        }
        let revision = self.revision.next();
        let changes: Vec<_> = txn
            .ops
            .into_iter()
            .filter_map(|op| self.change(op, revision))
            .collect();
        if changes.is_empty() {
            return Outcome::Committed(self.revision);
        }
        let (begin, payload) = frames.add(|out| {
            entry::put_txn(out, revision, changes.len() as u32);
            for (key, prev, put) in &changes {
                entry::put_change(out, key, prev.as_ref(), put.as_ref());
            }
        });
        let location = Location {
            file: self.file,
            len: payload as u32,
            offset: self.offset + begin as u64,
        };
        let changes = changes.into_iter().map(|(key, _, put)| (key, put));
        let changes: Vec<_> = changes.collect();
        for (key, put) in &changes {
            let current = put.as_ref().map(|put| Current {
                value: put.value.clone(),
                created: put.created,
                modified: revision,
                version: put.version,
                location,
                expiry: put.expiry.map(Box::new),
            });
            self.changed.insert(key.clone(), current);
        }
        self.revision = revision;
        self.commits.push(Commit {
            revision,
            location,
            changes,
        });
        Outcome::Committed(revision)
    }

    fn conflict(&self, guards: &[Guard]) -> Option<Conflict> {
        let modified = |guard: &&Guard| {
            let current = self.current(guard.key());
            current.map(|(_, current)| current.modified)
        };
        let current: Vec<_> = guards
            .iter()
            .filter(|guard| !guard.holds(modified(guard)))
            .map(|guard| {
                let found = self.current(guard.key());
                let record = found.map(|(key, current)| current.record(key));
                (guard.key().clone(), record)
            })
            .collect();
        let revision = self.revision;
        (!current.is_empty()).then_some(Conflict { revision, current })
    }

    /// What an operation changes; none if nothing.
    fn change(
        &self,
        op: Op,
        revision: Revision,
    ) -> Option<(Bytes, Option<Prev>, Option<PutFields>)> {
        let found = self.current(op.key());
        let prev = found.map(|(_, current)| Prev {
            modified: current.modified,
            location: current.location,
        });
        match op {
            Op::Delete { .. } => found.map(|(key, _)| (key.clone(), prev, None)),
            Op::Put { key, value, ttl } => {
                let expiry = ttl.map(|ttl| {
                    let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
                    let deadline_ms = self.now_ms.saturating_add(ttl_ms);
                    Expiry { deadline_ms, ttl }
                });
                let fields = PutFields {
                    value: self.pool.keep(&value),
                    created: found.map_or(revision, |(_, current)| current.created),
                    version: found.map_or(1, |(_, current)| current.version + 1),
                    expiry,
                };
                let key = found.map_or(key, |(key, _)| key.clone());
                Some((key, prev, Some(fields)))
            }
        }
    }

    fn current(&self, key: &Bytes) -> Option<(&Bytes, &Current)> {
        match self.changed.get_key_value(key) {
            Some((key, current)) => current.as_ref().map(|current| (key, current)),
            None => self.index.current(key),
        }
    }

    fn compact(&mut self, at: Revision, frames: &mut FrameWriter<'_>) -> Result<(), Error> {
        let compacted = self.compact.unwrap_or(self.index.compacted);
        if at > self.revision {
            return Err(Error::Future {
                requested: at,
                current: self.revision,
            });
        }
        if at <= compacted {
            return Err(Error::Compacted {
                requested: at,
                compacted,
            });
        }
        self.compact = Some(at);
        frames.add(|out| entry::put_compact(out, at));
        Ok(())
    }
}

impl Answer {
    /// Tells that nothing was written.
    pub(super) fn fail(&mut self, error: &Error) {
        match self {
            Self::Txn(_, result) => *result = Err(error.clone()),
            Self::Compact(_, result) => *result = Err(error.clone()),
        }
    }

    /// Tells who waits; that they may have gone does not matter.
    pub(super) fn send(self) {
        match self {
            Self::Txn(reply, result) => drop(reply.send(result)),
            Self::Compact(reply, result) => drop(reply.send(result)),
        }
    }
}
