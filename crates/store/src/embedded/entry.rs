//! What frames carry: transactions, compactions, and the records of a
//! checkpoint. Numbers are little-endian.

use std::time::Duration;

use bytes::Bytes;

use crate::{Blob, Revision, blob::Pool};

/// A file of the log, by number. Segments and checkpoints share the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(pub(super) u32);

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) file: FileId,
    /// The length of the payload.
    pub(super) len: u32,
    pub(super) offset: u64,
}

/// A former version of a key: when it was written, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prev {
    pub(super) modified: Revision,
    pub(super) location: Location,
}

/// When a record ends. The deadline is the wall clock's, so that it has a
/// meaning after a restart; the duration bounds what a clock that jumped
/// back can add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    pub(super) deadline_ms: i64,
    pub(super) ttl: Duration,
}

/// The content of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Txn {
        revision: Revision,
        changes: Vec<LoggedChange>,
    },
    Compact {
        at: Revision,
    },
    /// The store was closed in order: everything before is durable.
    Close,
    /// A record of a checkpoint.
    Record {
        modified: Revision,
        put: LoggedPut,
    },
    /// The end of a checkpoint. Its records may be as late as `until`.
    End {
        records: u64,
        until: Revision,
    },
}

/// A change of a key as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedChange {
    pub(super) key: Bytes,
    /// What it replaced, so that history is found without reading further
    /// back than it is kept.
    pub(super) prev: Option<Prev>,
    /// None for a deletion.
    pub(super) put: Option<PutFields>,
}

/// What a write sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PutFields {
    pub(super) value: Blob,
    pub(super) created: Revision,
    pub(super) version: u64,
    pub(super) expiry: Option<Expiry>,
}

/// A key with what a write set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedPut {
    pub(super) key: Bytes,
    pub(super) fields: PutFields,
}

const TXN: u8 = 1;
const COMPACT: u8 = 2;
const CLOSE: u8 = 3;
const RECORD: u8 = 4;
const END: u8 = 5;

const PUT: u8 = 1;
const HAS_PREV: u8 = 2;
const HAS_EXPIRY: u8 = 4;

/// More than any change needs beside its key and value.
pub(super) const CHANGE_OVERHEAD: usize = 80;
/// More than any entry needs beside its changes, the frame included.
pub(super) const ENTRY_OVERHEAD: usize = 48;

/// Begins a transaction; [`put_change`] adds to it.
pub(super) fn put_txn(out: &mut Vec<u8>, revision: Revision, changes: u32) {
    out.push(TXN);
    out.extend_from_slice(&revision.0.to_le_bytes());
    out.extend_from_slice(&changes.to_le_bytes());
}

/// Adds a change; `put` is none for a deletion.
pub(super) fn put_change(
    out: &mut Vec<u8>,
    key: &[u8],
    prev: Option<&Prev>,
    put: Option<&PutFields>,
) {
    let expiry = put.and_then(|put| put.expiry);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(put.is_some(), PUT)
            | flag(prev.is_some(), HAS_PREV)
            | flag(expiry.is_some(), HAS_EXPIRY),
    );
    put_bytes(out, key);
    if let Some(prev) = prev {
        out.extend_from_slice(&prev.modified.0.to_le_bytes());
        out.extend_from_slice(&prev.location.file.0.to_le_bytes());
        out.extend_from_slice(&prev.location.len.to_le_bytes());
        out.extend_from_slice(&prev.location.offset.to_le_bytes());
    }
    if let Some(put) = put {
        out.extend_from_slice(&put.created.0.to_le_bytes());
        out.extend_from_slice(&put.version.to_le_bytes());
        if let Some(expiry) = expiry {
            out.extend_from_slice(&expiry.deadline_ms.to_le_bytes());
            let ttl_ms = u64::try_from(expiry.ttl.as_millis()).unwrap_or(u64::MAX);
            out.extend_from_slice(&ttl_ms.to_le_bytes());
        }
        out.extend_from_slice(&(put.value.len() as u32).to_le_bytes());
        put.value.write_from(0, out);
    }
}

/// Writes a compaction.
pub(super) fn put_compact(out: &mut Vec<u8>, at: Revision) {
    out.push(COMPACT);
    out.extend_from_slice(&at.0.to_le_bytes());
}

/// Writes the mark of an orderly end.
pub(super) fn put_close(out: &mut Vec<u8>) {
    out.push(CLOSE);
}

/// Writes a record of a checkpoint.
pub(super) fn put_record(out: &mut Vec<u8>, modified: Revision, key: &[u8], fields: &PutFields) {
    out.push(RECORD);
    out.extend_from_slice(&modified.0.to_le_bytes());
    put_change(out, key, None, Some(fields));
}

/// Writes the end of a checkpoint.
pub(super) fn put_end(out: &mut Vec<u8>, records: u64, until: Revision) {
    out.push(END);
    out.extend_from_slice(&records.to_le_bytes());
    out.extend_from_slice(&until.0.to_le_bytes());
}

/// Reads a payload; none if it is not one. Values go into `pool`.
pub(super) fn decode(payload: &Bytes, pool: &Pool) -> Option<Entry> {
    let mut input = Input {
        data: payload,
        pool,
        at: 0,
    };
    let entry = match input.u8()? {
        TXN => {
            let revision = input.revision()?;
            let count = input.u32()?;
            let changes = (0..count).map(|_| input.change());
            let changes = changes.collect::<Option<Vec<_>>>()?;
            Entry::Txn { revision, changes }
        }
        COMPACT => Entry::Compact {
            at: input.revision()?,
        },
        CLOSE => Entry::Close,
        RECORD => {
            let modified = input.revision()?;
            let LoggedChange { key, put, .. } = input.change()?;
            let put = LoggedPut { key, fields: put? };
            Entry::Record { modified, put }
        }
        END => Entry::End {
            records: input.u64()?,
            until: input.revision()?,
        },
        _ => return None,
    };
    (input.at == payload.len()).then_some(entry)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Input<'a> {
    data: &'a Bytes,
    pool: &'a Pool,
    at: usize,
}

impl Input<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let taken = self.data.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn revision(&mut self) -> Option<Revision> {
        self.u64().map(Revision)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let len = self.u32()? as usize;
        let begin = self.at;
        self.take(len)?;
        Some(self.data.slice(begin..begin + len))
    }

    fn change(&mut self) -> Option<LoggedChange> {
        let flags = self.u8()?;
        let key = self.bytes()?;
        let prev = if flags & HAS_PREV != 0 {
            Some(self.prev()?)
        } else {
            None
        };
        let put = if flags & PUT != 0 {
            Some(self.put(flags)?)
        } else {
            None
        };
        Some(LoggedChange { key, prev, put })
    }

    fn prev(&mut self) -> Option<Prev> {
        let modified = self.revision()?;
        let file = FileId(self.u32()?);
        let len = self.u32()?;
        let offset = self.u64()?;
        let location = Location { file, len, offset };
        Some(Prev { modified, location })
    }

    fn put(&mut self, flags: u8) -> Option<PutFields> {
        let created = self.revision()?;
        let version = self.u64()?;
        let expiry = if flags & HAS_EXPIRY != 0 {
            let deadline_ms = self.u64()? as i64;
            let ttl = Duration::from_millis(self.u64()?);
            Some(Expiry { deadline_ms, ttl })
        } else {
            None
        };
        let len = self.u32()? as usize;
        let pool = self.pool;
        let value = pool.keep(self.take(len)?);
        Some(PutFields {
            value,
            created,
            version,
            expiry,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(expiry: Option<Expiry>) -> PutFields {
        PutFields {
            value: "value".into(),
            created: Revision(3),
            version: 9,
            expiry,
        }
    }

    fn check(entry: Entry, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        let out = Bytes::from(out);
        let pool = Pool::new(None);
        assert_eq!(decode(&out, &pool), Some(entry));
        for len in 0..out.len() {
            assert_eq!(decode(&out.slice(..len), &pool), None, "cut at {len}");
        }
    }

    #[test]
    fn entries_read_as_written() {
        let key = Bytes::from_static(b"key");
        let (file, len, offset) = (FileId(2), 77, 4096);
        let prev = Prev {
            modified: Revision(4),
            location: Location { file, len, offset },
        };
        let expiry = Expiry {
            deadline_ms: -5,
            ttl: Duration::from_millis(1500),
        };
        let put = fields(Some(expiry));
        let changes = vec![
            LoggedChange {
                key: key.clone(),
                prev: Some(prev),
                put: Some(put.clone()),
            },
            LoggedChange {
                key: key.clone(),
                prev: None,
                put: None,
            },
        ];
        let revision = Revision(5);
        check(Entry::Txn { revision, changes }, |out| {
            put_txn(out, revision, 2);
            let before = out.len();
            put_change(out, &key, Some(&prev), Some(&put));
            assert!(out.len() - before <= CHANGE_OVERHEAD + key.len() + put.value.len());
            put_change(out, &key, None, None);
        });
        check(Entry::Compact { at: revision }, |out| {
            put_compact(out, revision);
        });
        check(Entry::Close, put_close);
        let logged = LoggedPut {
            key: key.clone(),
            fields: fields(None),
        };
        check(
            Entry::Record {
                modified: revision,
                put: logged,
            },
            |out| put_record(out, revision, &key, &fields(None)),
        );
        check(
            Entry::End {
                records: 8,
                until: revision,
            },
            |out| put_end(out, 8, revision),
        );
    }
}
