//! Reading the log: former versions one by one, and what happened since a
//! revision in order.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;

use super::{
    Shared,
    entry::{self, Entry, FileId, Location, LoggedChange, Prev},
    file::{LogFile, Next},
    frame::{self, Parsed},
};
use crate::{Change, Error, Event, Record, Revision, Span};

/// How much of the log is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// How far the log has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Everything up to this revision has been seen.
    pub(super) position: Revision,
    /// Where the next frame is, once that is known.
    place: Option<(FileId, u64)>,
}

impl Cursor {
    /// After a revision.
    pub(super) fn after(position: Revision) -> Self {
        let place = None;
        Self { position, place }
    }
}

impl Shared {
    /// Reads the version of a key that lies at a place. `at` is what was
    /// asked for, in case the place is forgotten meanwhile.
    pub(super) async fn read_version(
        &self,
        key: &Bytes,
        location: Location,
        at: Revision,
    ) -> Result<Record, Error> {
        let file = self.file(location.file, at)?;
        let nonce = file.header.nonce;
        let size = frame::size_of(location.len as usize);
        let data = file
            .handle
            .read_at(location.offset, size)
            .await
            .map_err(|error| self.read_error(&file, location.offset, error))?;
        let found = match frame::parse(&data, nonce, location.len as usize) {
            Parsed::Frame(frame) => entry::decode(&frame.payload, &self.pool),
            _ => None,
        };
        found
            .and_then(|entry| record_of(entry, key))
            .ok_or_else(|| self.damaged(&file, location.offset))
    }

    /// Reads on from a cursor, no further than `until`, and returns the
    /// events of a span with the new cursor.
    pub(super) async fn read_events(
        &self,
        cursor: Cursor,
        until: Revision,
        span: &Span,
    ) -> Result<(Vec<Event>, Cursor), Error> {
        let (file, mut offset) = self.seek(cursor)?;
        let mut position = cursor.position;
        let mut events = Vec::new();
        let mut recent = HashMap::new();
        let mut reader = file.frames(offset, file.end, CHUNK_BYTES);
        let mut read = 0;
        while read < CHUNK_BYTES && position < until {
            let next = reader.next().await;
            let next = next.map_err(|error| self.read_error(&file, offset, error))?;
            let Next::Frame {
                offset: begin,
                frame,
            } = next
            else {
                if next == Next::End {
                    // A segment without transactions has a last revision too.
                    position = position.max(file.last);
                    break;
                }
                return Err(self.damaged(&file, offset));
            };
            offset = begin + frame.size as u64;
            read += frame.size;
            let entry = entry::decode(&frame.payload, &self.pool);
            let entry = entry.ok_or_else(|| self.damaged(&file, begin))?;
            if let Entry::Txn { revision, changes } = entry
                && revision > position
            {
                for change in changes {
                    if span.contains(&change.key) {
                        let event = self.event(revision, change, position, &mut recent);
                        events.push(event.await?);
                    }
                }
                position = revision;
            }
        }
        let place = (offset < file.end).then_some((file.header.id, offset));
        Ok((events, Cursor { position, place }))
    }

    /// The segment and the offset where a cursor continues.
    fn seek(&self, cursor: Cursor) -> Result<(LogFile, u64), Error> {
        let state = self.state();
        if cursor.position < state.index.compacted {
            return Err(Error::Compacted {
                requested: cursor.position,
                compacted: state.index.compacted,
            });
        }
        if let Some((id, offset)) = cursor.place
            && let Some(file) = state.files.get(id)
        {
            return Ok((file.view(), offset));
        }
        let file = state
            .files
            .segments()
            .find(|file| file.last > cursor.position);
        // A caller reads only up to what is current, so there is a segment.
        let file = file.ok_or(Error::Future {
            requested: cursor.position,
            current: state.index.revision,
        })?;
        let offset = file.seek(cursor.position.next());
        Ok((file.view(), offset))
    }

    async fn event(
        &self,
        revision: Revision,
        change: LoggedChange,
        position: Revision,
        recent: &mut HashMap<Bytes, Record>,
    ) -> Result<Event, Error> {
        let LoggedChange { key, prev, put } = change;
        let key = Bytes::copy_from_slice(&key);
        let prev = match prev {
            Some(prev) => Some(self.prev_record(&key, prev, position, recent).await?),
            None => None,
        };
        let change = match put {
            Some(fields) => {
                let record = Record {
                    key: key.clone(),
                    value: fields.value,
                    created: fields.created,
                    modified: revision,
                    version: fields.version,
                };
                recent.insert(key, record.clone());
                Change::Put { record, prev }
            }
            None => Change::Delete { key, prev },
        };
        Ok(Event { revision, change })
    }

    async fn prev_record(
        &self,
        key: &Bytes,
        prev: Prev,
        position: Revision,
        recent: &HashMap<Bytes, Record>,
    ) -> Result<Record, Error> {
        match recent.get(key) {
            Some(record) if record.modified == prev.modified => Ok(record.clone()),
            _ => self.read_version(key, prev.location, position).await,
        }
    }

    fn file(&self, id: FileId, at: Revision) -> Result<LogFile, Error> {
        let state = self.state();
        match state.files.get(id) {
            Some(file) => Ok(file.view()),
            None => Err(Error::Compacted {
                requested: at,
                compacted: state.index.compacted,
            }),
        }
    }

    fn read_error(&self, file: &LogFile, offset: u64, error: io::Error) -> Error {
        Error::Read {
            file: self.disk.describe(&file.name),
            offset,
            source: Arc::new(error),
        }
    }

    fn damaged(&self, file: &LogFile, offset: u64) -> Error {
        let file = self.disk.describe(&file.name);
        Error::Damaged { file, offset }
    }
}

/// The record that an entry holds of a key.
fn record_of(entry: Entry, key: &Bytes) -> Option<Record> {
    let (modified, fields) = match entry {
        Entry::Txn { revision, changes } => {
            let change = changes.into_iter().find(|change| change.key == key)?;
            (revision, change.put?)
        }
        Entry::Record { modified, put } if put.key == key => (modified, put.fields),
        _ => return None,
    };
    Some(Record {
        key: key.clone(),
        value: fields.value,
        created: fields.created,
        modified,
        version: fields.version,
    })
}
