//! Checkpoints: all present records in one file, so that recovery need not
//! read the log from its beginning and old segments can go.
//!
//! The writer goes on meanwhile, so the records are not of one revision: each
//! is as it was when its turn came. Recovery reads the log from the revision
//! at which the checkpoint began and skips what a record already knows; the
//! checkpoint says up to which revision the log must at least reach.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    Request, Shared,
    entry::{self, FileId, Location, PutFields},
    file::{self, FIRST_FRAME, Header, Kind, LogFile},
    frame::{self, FrameWriter},
};
use crate::Revision;

/// How many records are taken under one lock.
const RECORDS: usize = 512;
/// How much is written at once.
const WRITE_BYTES: usize = 1 << 20;

/// A checkpoint that is durable.
pub(super) struct Finished {
    pub(super) file: LogFile,
    /// Which version of which key lies where.
    pub(super) places: Vec<(Bytes, Revision, Location)>,
}

/// Writes a checkpoint and tells the writer.
pub(super) async fn run(
    shared: Arc<Shared>,
    requests: mpsc::WeakSender<Request>,
    id: FileId,
    segment: FileId,
) {
    let outcome = write(&shared, id, segment).await;
    drop(shared);
    if let Some(requests) = requests.upgrade() {
        let _ = requests.send(Request::Checkpointed(outcome)).await;
    }
}

async fn write(shared: &Shared, id: FileId, segment: FileId) -> io::Result<Finished> {
    let header = {
        let state = shared.state();
        Header {
            kind: Kind::Checkpoint,
            id,
            nonce: file::nonce(&shared.rng),
            prev: Some(segment),
            prev_end: 0,
            base: state.index.revision,
            compacted: state.index.compacted,
            initial: 0,
        }
    };
    let name = file::name_of(Kind::Checkpoint, id);
    let temporary = file::temporary(&name);
    let written = write_named(shared, header, &name, &temporary).await;
    if written.is_err() {
        let _ = shared.disk.remove(&temporary).await;
    }
    written
}

async fn write_named(
    shared: &Shared,
    header: Header,
    name: &str,
    temporary: &str,
) -> io::Result<Finished> {
    let handle = shared.disk.create(temporary, 0).await?;
    handle.write_at(0, &header.encode()).await?;
    let mut output = Output {
        id: header.id,
        nonce: header.nonce,
        offset: FIRST_FRAME,
        batch: 0,
        places: Vec::new(),
    };
    let mut after = None;
    loop {
        if shared.closed.is_cancelled() {
            return Err(io::Error::other("the store is closing"));
        }
        let records = shared.state().index.live_after(after.as_ref(), RECORDS);
        let Some((last, _)) = records.last() else {
            break;
        };
        after = Some(last.key.clone());
        for chunk in output.encode(records) {
            handle.write_at(chunk.0, &chunk.1).await?;
        }
    }
    let until = shared.state().index.revision;
    let (offset, end) = output.end(until);
    handle.write_at(offset, &end).await?;
    handle.sync().await?;
    shared.disk.rename(temporary, name).await?;
    shared.disk.sync_dir().await?;
    let frames = output.offset - FIRST_FRAME;
    Ok(Finished {
        file: LogFile::new(header, name, handle, frames),
        places: output.places,
    })
}

struct Output {
    id: FileId,
    nonce: u32,
    offset: u64,
    batch: u32,
    places: Vec<(Bytes, Revision, Location)>,
}

impl Output {
    /// Turns records into chunks of frames with their offsets.
    fn encode(
        &mut self,
        records: Vec<(crate::Record, Option<entry::Expiry>)>,
    ) -> Vec<(u64, Vec<u8>)> {
        let mut chunks = Vec::new();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut buffer = Vec::new();
            let mut frames = FrameWriter::new(&mut buffer, self.nonce, self.batch);
            let mut size = 0;
            while size < WRITE_BYTES
                && let Some((record, expiry)) = records.next()
            {
                let fields = PutFields {
                    value: record.value,
                    created: record.created,
                    version: record.version,
                    expiry,
                };
                let (begin, payload) = frames.add(|out| {
                    entry::put_record(out, record.modified, &record.key, &fields);
                });
                size += frame::size_of(payload);
                let location = Location {
                    file: self.id,
                    len: payload as u32,
                    offset: self.offset + begin as u64,
                };
                self.places.push((record.key, record.modified, location));
            }
            frames.finish();
            chunks.push(self.chunk(buffer));
        }
        chunks
    }

    fn end(&mut self, until: Revision) -> (u64, Vec<u8>) {
        let mut buffer = Vec::new();
        let mut frames = FrameWriter::new(&mut buffer, self.nonce, self.batch);
        let records = self.places.len() as u64;
        frames.add(|out| entry::put_end(out, records, until));
        frames.finish();
        self.chunk(buffer)
    }

    fn chunk(&mut self, buffer: Vec<u8>) -> (u64, Vec<u8>) {
        let offset = self.offset;
        self.offset += buffer.len() as u64;
        self.batch += 1;
        (offset, buffer)
    }
}
