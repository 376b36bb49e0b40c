//! Recovering the end of the log: where it is, and whether it can be trusted.

use std::io;

use bytes::Bytes;

use super::{
    entry::{self, Entry, FileId, Location},
    file::{self, FIRST_FRAME, Header, Kind, LogFile, Next},
    frame::{self, FrameWriter, Parsed},
    open_error::{OpenError, damaged, io_error},
    recovery::{CHUNK_BYTES, Recovery, active},
    writer::Tail,
};
use crate::blob::Pool;

/// A frame of the batch that was read last.
struct Pending {
    offset: u64,
    len: usize,
    entry: Entry,
}

/// How the last segment ends.
struct LastSegment {
    batch: Vec<Pending>,
    /// Where the last batch begins.
    begin: u64,
    /// Where it ends.
    end: u64,
}

impl Recovery<'_> {
    /// Reads the last segment and makes the end of the log writable.
    pub(super) async fn replay_last(&mut self, mut segment: LogFile) -> Result<Tail, OpenError> {
        segment.last = segment.header.base;
        let last = self.read_last(&mut segment).await?;
        let initial_end = FIRST_FRAME + segment.header.initial;
        if last.end <= initial_end {
            self.flush(&mut segment, last.batch)?;
            return self.begin_segment(segment, last.end, Vec::new()).await;
        }
        let is_close = |pending: &Pending| pending.entry == Entry::Close;
        if last.batch.iter().all(is_close) {
            // What was written before the mark was durable by then. The mark
            // itself need not be, so the segment ends before it.
            return self.begin_segment(segment, last.begin, Vec::new()).await;
        }
        self.begin_segment(segment, last.begin, last.batch).await
    }

    /// Reads the last segment and finds where it ends.
    async fn read_last(&mut self, segment: &mut LogFile) -> Result<LastSegment, OpenError> {
        let view = segment.view();
        let len = view.end;
        let mut reader = view.frames(FIRST_FRAME, len, CHUNK_BYTES);
        let mut last = LastSegment {
            batch: Vec::new(),
            begin: FIRST_FRAME,
            end: FIRST_FRAME,
        };
        // The number of the batch that was read last, and whether all of it.
        let mut batch = (0, true);
        loop {
            let next = reader.next().await;
            let next = next.map_err(io_error(self.disk, "reading", &segment.name))?;
            let Next::Frame { offset, frame } = next else {
                break;
            };
            if frame.batch != batch.0 {
                let flushed = std::mem::take(&mut last.batch);
                self.flush(segment, flushed)?;
                last.begin = offset;
            }
            batch = (frame.batch, frame.last);
            last.end = offset + frame.size as u64;
            let entry = self.decode(segment, offset, &frame)?;
            let len = frame.payload.len();
            last.batch.push(Pending { offset, len, entry });
        }
        let initial_end = FIRST_FRAME + segment.header.initial;
        if last.end < initial_end {
            let what = "a frame that was once durable does not check";
            return Err(damaged(self.disk, &segment.name, last.end, what));
        }
        // A batch later than the one that is broken shows that it had been
        // made durable.
        let later = if batch.1 { batch.0 + 2 } else { batch.0 + 1 };
        self.check_tail(&view, last.end, len, later).await?;
        Ok(last)
    }

    /// Tells a torn tail from damage.
    async fn check_tail(
        &self,
        segment: &LogFile,
        from: u64,
        len: u64,
        later: u32,
    ) -> Result<(), OpenError> {
        let rest = usize::try_from(len.saturating_sub(from)).unwrap_or(usize::MAX);
        let rest = segment.handle.read_at(from, rest).await;
        let rest = rest.map_err(io_error(self.disk, "reading", &segment.name))?;
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let nonce = segment.header.nonce;
        let mut at = 0;
        while let Some(candidate) = frame::next_candidate(&rest, at, nonce) {
            let parsed = frame::parse(&rest.slice(candidate..), nonce, file::FRAME_MAX);
            if let Parsed::Frame(frame) = parsed
                && frame.batch >= later
            {
                let what = "a frame that was once durable does not check";
                return Err(damaged(self.disk, &segment.name, from, what));
            }
            at = candidate + 1;
        }
        let file = self.disk.describe(&segment.name);
        tracing::warn!(
            file,
            offset = from,
            "the log has a torn end, of what was never acknowledged; it is cut off"
        );
        Ok(())
    }

    /// Begins a new segment with the batch that may not be durable.
    async fn begin_segment(
        &mut self,
        mut last: LogFile,
        end: u64,
        batch: Vec<Pending>,
    ) -> Result<Tail, OpenError> {
        let id = FileId(self.next_file);
        self.next_file += 1;
        let nonce = file::nonce(self.rng);
        let moved = encode_moved(&batch, last.header.id, end, id, nonce);
        let header = Header {
            kind: Kind::Segment,
            id,
            nonce,
            prev: Some(last.header.id),
            prev_end: end,
            base: self.position,
            compacted: self.index.compacted,
            initial: moved.len() as u64,
        };
        let len = self.options.segment_bytes_min;
        let len = len.max(FIRST_FRAME + moved.len() as u64);
        match file::create(self.disk, header, &moved, len).await {
            Ok(mut segment) => {
                if let Err(error) = last.handle.set_len(end).await {
                    let file = self.disk.describe(&last.name);
                    tracing::warn!(%error, file, "could not cut a finished segment");
                }
                last.end = end;
                last.last = self.position;
                let batch = reread(&moved, nonce, batch, self.pool);
                self.flush(&mut segment, batch)?;
                let tail = Tail::Open(active(&segment, len));
                self.files.add(last);
                self.files.add(segment);
                Ok(tail)
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(%error, "no space for a new segment; writing fails until there is");
                self.keep_segment(last, end, batch).await
            }
            Err(error) => {
                let name = file::name_of(Kind::Segment, id);
                Err(io_error(self.disk, "making", &name)(error))
            }
        }
    }

    /// Serves from the last segment as it is, until another can be begun.
    async fn keep_segment(
        &mut self,
        mut last: LogFile,
        end: u64,
        batch: Vec<Pending>,
    ) -> Result<Tail, OpenError> {
        let synced = last.handle.sync().await;
        synced.map_err(io_error(self.disk, "syncing", &last.name))?;
        let end = batch.last().map_or(end, |pending| {
            pending.offset + frame::size_of(pending.len) as u64
        });
        self.flush(&mut last, batch)?;
        last.end = end;
        let id = last.header.id;
        self.files.add(last);
        Ok(Tail::Broken { id, end })
    }

    fn flush(&mut self, segment: &mut LogFile, batch: Vec<Pending>) -> Result<(), OpenError> {
        for Pending { offset, len, entry } in batch {
            let file = segment.header.id;
            let len = len as u32;
            self.take(segment, Location { file, len, offset }, entry)?;
        }
        Ok(())
    }
}

/// Encodes a batch for the beginning of another segment. Frames keep their
/// sizes, so a place within the batch moves by a constant.
fn encode_moved(batch: &[Pending], from: FileId, begin: u64, to: FileId, nonce: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frames = FrameWriter::new(&mut out, nonce, 0);
    for pending in batch {
        frames.add(|out| match &pending.entry {
            Entry::Txn { revision, changes } => {
                entry::put_txn(out, *revision, changes.len() as u32);
                for change in changes {
                    let mut prev = change.prev;
                    if let Some(prev) = &mut prev
                        && prev.location.file == from
                        && prev.location.offset >= begin
                    {
                        prev.location.file = to;
                        prev.location.offset += FIRST_FRAME;
                        prev.location.offset -= begin;
                    }
                    entry::put_change(out, &change.key, prev.as_ref(), change.put.as_ref());
                }
            }
            Entry::Compact { at } => entry::put_compact(out, *at),
            Entry::Close => entry::put_close(out),
            Entry::Record { .. } | Entry::End { .. } => {}
        });
    }
    frames.finish();
    out
}

/// The moved batch with its new places.
fn reread(moved: &[u8], nonce: u32, batch: Vec<Pending>, pool: &Pool) -> Vec<Pending> {
    let moved = Bytes::copy_from_slice(moved);
    let mut at = 0;
    batch
        .into_iter()
        .map(|pending| {
            let parsed = frame::parse(&moved.slice(at..), nonce, file::FRAME_MAX);
            let Parsed::Frame(frame) = parsed else {
                unreachable!("a frame that was just encoded can be read");
            };
            let offset = FIRST_FRAME + at as u64;
            at += frame.size;
            let len = frame.payload.len();
            let entry = entry::decode(&frame.payload, pool).unwrap_or(pending.entry);
            Pending { offset, len, entry }
        })
        .collect()
}
