//! Opening a store: what the files say, what of it counts, and what is wrong.
//!
//! Segments form a chain: each says where its predecessor ends. Recovery
//! loads the latest checkpoint, if any, and reads the chain from its oldest
//! segment on. The last segment ends where its frames end. What lies beyond
//! is either nothing, or the torn end of a batch that nobody was told is
//! durable, or, if a later batch can be read behind it, damage: then the
//! store refuses to open rather than lose what it once acknowledged.
//!
//! The last batch may have been read from a page cache that has lost the
//! disk's refusal to take it. Unless the log says that it was closed in
//! order, recovery moves that batch into a new segment and syncs it there.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use stdx::{Clock, Rng};

use super::{
    Options,
    entry::{self, Entry, FileId, Location, LoggedChange, LoggedPut, PutFields},
    file::{self, BadHeader, FIRST_FRAME, Files, Header, Kind, LogFile, Next},
    frame::{self, Frame, FrameWriter, Parsed},
    index::Index,
    writer::{Active, Tail},
};
use crate::{
    Revision,
    disk::{Disk, Lock, LockError},
};

/// The revision of an empty store. It is not zero, which clients use to say
/// that any revision will do.
const EMPTY: Revision = Revision(1);
/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by {holder}")]
    Locked {
        /// The directory.
        dir: String,
        /// Who has it.
        holder: String,
    },
    /// The disk did not do what was asked.
    #[error("{operation} {file}")]
    Io {
        /// What was asked.
        operation: &'static str,
        /// Of which file.
        file: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// What was once durable is not there as it was written.
    #[error("{file} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer version wrote the files.
    #[error("{file} has format {found}, which this version does not know")]
    Format {
        /// The file.
        file: String,
        /// The format.
        found: u32,
    },
}

/// A store as it was found.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) files: Files,
    pub(super) tail: Tail,
    pub(super) next_file: u32,
}

/// Claims the disk.
pub(super) async fn lock(disk: &dyn Disk) -> Result<Lock, OpenError> {
    disk.lock().await.map_err(|error| {
        let dir = disk.describe("");
        match error {
            LockError::Held { holder } => OpenError::Locked { dir, holder },
            LockError::Io(source) => OpenError::Io {
                operation: "locking",
                file: dir,
                source,
            },
        }
    })
}

/// Reads what is there.
pub(super) async fn recover(
    disk: &dyn Disk,
    clock: &Clock,
    rng: &Rng,
    options: &Options,
) -> Result<Recovered, OpenError> {
    let began = clock.now();
    let mut found = open_files(disk).await?;
    if found.is_empty() {
        return create(disk, rng, options).await;
    }
    let next_file = found.keys().last().map_or(1, |id| id.0 + 1);
    let recovery = Recovery {
        disk,
        rng,
        options,
        index: Index::new(EMPTY),
        files: Files::default(),
        until: EMPTY,
        position: EMPTY,
        next_file,
    };
    let chain = recovery.chain(&mut found).await?;
    let recovered = recovery.run(chain, found).await?;
    tracing::info!(
        revision = recovered.index.revision.0,
        keys = recovered.index.size().0,
        took_ms = clock.since(began).as_millis() as u64,
        "store recovered"
    );
    Ok(recovered)
}

/// Makes a store where there is none.
async fn create(disk: &dyn Disk, rng: &Rng, options: &Options) -> Result<Recovered, OpenError> {
    let header = Header {
        kind: Kind::Segment,
        id: FileId(1),
        nonce: file::nonce(rng),
        prev: None,
        prev_end: 0,
        base: EMPTY,
        compacted: Revision::ZERO,
        initial: 0,
    };
    let len = options.segment_bytes_min;
    let segment = file::create(disk, header, &[], len).await;
    let name = file::name_of(Kind::Segment, header.id);
    let segment = segment.map_err(io_error(disk, "making", &name))?;
    let tail = Tail::Open(active(&segment, len));
    let mut files = Files::default();
    files.add(segment);
    Ok(Recovered {
        index: Index::new(EMPTY),
        files,
        tail,
        next_file: 2,
    })
}

fn active(segment: &LogFile, len: u64) -> Active {
    Active {
        id: segment.header.id,
        nonce: segment.header.nonce,
        handle: segment.handle.clone(),
        offset: segment.end,
        len,
        batch: 1,
    }
}

/// Opens all files of the log and removes those that were never finished.
async fn open_files(disk: &dyn Disk) -> Result<BTreeMap<FileId, LogFile>, OpenError> {
    let names = disk.list().await.map_err(io_error(disk, "listing", ""))?;
    let mut found = BTreeMap::new();
    for name in names {
        if file::is_temporary(&name) {
            disk.remove(&name)
                .await
                .map_err(io_error(disk, "removing", &name))?;
        } else if let Some((kind, id)) = file::parse_name(&name) {
            found.insert(id, open_file(disk, &name, kind, id).await?);
        }
    }
    Ok(found)
}

async fn open_file(
    disk: &dyn Disk,
    name: &str,
    kind: Kind,
    id: FileId,
) -> Result<LogFile, OpenError> {
    let reading = || io_error(disk, "reading", name);
    let handle = disk
        .open(name)
        .await
        .map_err(io_error(disk, "opening", name))?;
    let len = handle.len().await.map_err(reading())?;
    let data = handle.read_at(0, FIRST_FRAME as usize).await;
    let header = match Header::decode(kind, &data.map_err(reading())?) {
        Ok(header) if header.id == id => header,
        Ok(_) | Err(BadHeader::Damaged) => {
            return Err(damaged(disk, name, 0, "the header does not check"));
        }
        Err(BadHeader::Format(found)) => {
            let file = disk.describe(name);
            return Err(OpenError::Format { file, found });
        }
    };
    Ok(LogFile::new(
        header,
        name,
        handle,
        len.saturating_sub(FIRST_FRAME),
    ))
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    rng: &'a Rng,
    options: &'a Options,
    index: Index,
    files: Files,
    /// The log must reach at least this revision.
    until: Revision,
    /// The last revision read from the log.
    position: Revision,
    next_file: u32,
}

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
    /// Takes the segments that follow one another up to the last one, oldest
    /// first. What a failed attempt to begin a segment left is removed.
    async fn chain(
        &self,
        found: &mut BTreeMap<FileId, LogFile>,
    ) -> Result<Vec<LogFile>, OpenError> {
        let is_segment = |file: &&LogFile| file.header.kind == Kind::Segment;
        let last = found.values().rfind(is_segment).map(|file| file.header.id);
        let mut chain = Vec::new();
        let mut next = last;
        let mut end = None;
        while let Some(mut segment) = next.and_then(|id| found.remove(&id)) {
            let begin = segment.end;
            if let Some((successor_end, last)) = end {
                if successor_end > begin {
                    let what = "it is shorter than its successor says";
                    return Err(damaged(self.disk, &segment.name, begin, what));
                }
                (segment.end, segment.last) = (successor_end, last);
            }
            end = Some((segment.header.prev_end, segment.header.base));
            next = segment.header.prev;
            chain.push(segment);
        }
        chain.reverse();
        let Some(oldest) = chain.first().map(|segment| segment.header.id) else {
            let checkpoint = found.values().next_back().map(|file| file.name.clone());
            let name = checkpoint.as_deref().unwrap_or("");
            return Err(damaged(self.disk, name, 0, "there is no segment after it"));
        };
        let dead: Vec<FileId> = found
            .values()
            .filter(|file| file.header.kind == Kind::Segment && file.header.id > oldest)
            .map(|file| file.header.id)
            .collect();
        for segment in dead.iter().filter_map(|id| found.remove(id)) {
            let removed = self.disk.remove(&segment.name).await;
            removed.map_err(io_error(self.disk, "removing", &segment.name))?;
        }
        Ok(chain)
    }

    async fn run(
        mut self,
        chain: Vec<LogFile>,
        rest: BTreeMap<FileId, LogFile>,
    ) -> Result<Recovered, OpenError> {
        let checkpoint = rest
            .values()
            .rfind(|file| file.header.kind == Kind::Checkpoint);
        if let Some(checkpoint) = checkpoint {
            self.load(checkpoint).await?;
        }
        let oldest = &chain[0];
        let (oldest_name, oldest_base) = (oldest.name.clone(), oldest.header.base);
        let reaches = checkpoint.map_or(EMPTY, |checkpoint| checkpoint.header.base);
        if oldest_base > reaches {
            let what = "the log before it is missing";
            return Err(damaged(self.disk, &oldest_name, 0, what));
        }
        self.position = oldest_base;
        for file in rest.into_values() {
            self.files.add(file);
        }
        let tail = self.replay(chain).await?;
        self.finish(&oldest_name, oldest_base)?;
        Ok(Recovered {
            index: self.index,
            files: self.files,
            tail,
            next_file: self.next_file,
        })
    }

    /// Loads a checkpoint.
    async fn load(&mut self, file: &LogFile) -> Result<(), OpenError> {
        let header = file.header;
        self.index.compact(header.compacted);
        let mut reader = file.frames(FIRST_FRAME, file.end, CHUNK_BYTES);
        let mut count = 0;
        loop {
            let at = reader.offset;
            let bad = |what| damaged(self.disk, &file.name, at, what);
            let next = reader.next().await;
            let next = next.map_err(io_error(self.disk, "reading", &file.name))?;
            let Next::Frame { offset, frame } = next else {
                return Err(bad("the checkpoint does not check"));
            };
            let location = location(file, offset, &frame);
            match entry::decode(&frame.payload) {
                Some(Entry::Record { modified, put }) => {
                    let LoggedPut { key, fields } = put;
                    let key = Bytes::copy_from_slice(&key);
                    self.index.load(key, modified, location, owned(fields));
                    count += 1;
                }
                Some(Entry::End { records, until }) if records == count => {
                    self.until = until;
                    return Ok(());
                }
                _ => return Err(bad("the checkpoint does not make sense")),
            }
        }
    }

    /// Reads the chain and makes the end of the log writable.
    async fn replay(&mut self, chain: Vec<LogFile>) -> Result<Tail, OpenError> {
        let count = chain.len();
        for (number, mut segment) in chain.into_iter().enumerate() {
            if number + 1 == count {
                return self.replay_last(segment).await;
            }
            if segment.last > self.index.compacted {
                self.replay_whole(&mut segment).await?;
            }
            if self.position > segment.last {
                let what = "it does not end where its successor begins";
                return Err(damaged(self.disk, &segment.name, segment.end, what));
            }
            self.position = segment.last;
            self.files.add(segment);
        }
        unreachable!("a chain has a last segment");
    }

    /// Reads a segment that has a successor.
    async fn replay_whole(&mut self, segment: &mut LogFile) -> Result<(), OpenError> {
        let (last, end) = (segment.last, segment.end);
        let view = segment.view();
        let mut reader = view.frames(FIRST_FRAME, end, CHUNK_BYTES);
        loop {
            let at = reader.offset;
            let next = reader.next().await;
            let next = next.map_err(io_error(self.disk, "reading", &segment.name))?;
            match next {
                Next::End if self.position == last => return Ok(()),
                Next::Frame { offset, frame } => {
                    let entry = self.decode(segment, offset, &frame)?;
                    let location = location(segment, offset, &frame);
                    self.take(segment, location, entry)?;
                }
                Next::End | Next::Invalid => {
                    let what = "a frame that was once durable does not check";
                    return Err(damaged(self.disk, &segment.name, at, what));
                }
            }
        }
    }

    /// Reads the last segment and finds where it ends.
    async fn replay_last(&mut self, mut segment: LogFile) -> Result<Tail, OpenError> {
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
                let batch = reread(&moved, nonce, batch);
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

    /// Takes an entry of a segment in.
    fn take(
        &mut self,
        segment: &mut LogFile,
        location: Location,
        entry: Entry,
    ) -> Result<(), OpenError> {
        match entry {
            Entry::Txn { revision, changes } => {
                if revision != self.position.next() {
                    let what = "its revisions do not follow one another";
                    return Err(damaged(self.disk, &segment.name, location.offset, what));
                }
                self.position = revision;
                let limit = segment.last;
                segment.note(revision, location.offset);
                segment.last = segment.last.max(limit);
                if revision > self.index.compacted {
                    for change in changes {
                        self.index.replay(revision, location, owned_change(change));
                    }
                }
            }
            Entry::Compact { at } => self.index.compact(at),
            Entry::Close => {}
            Entry::Record { .. } | Entry::End { .. } => {
                let what = "a segment has no records of checkpoints";
                return Err(damaged(self.disk, &segment.name, location.offset, what));
            }
        }
        Ok(())
    }

    /// Checks that nothing is missing.
    fn finish(&mut self, oldest_name: &str, oldest_base: Revision) -> Result<(), OpenError> {
        self.index.revision = self.position;
        let name = self.files.checkpoint().map(|file| file.name.clone());
        if self.position < self.until {
            let name = name.as_deref().unwrap_or("");
            let what = "the log ends before the checkpoint";
            return Err(damaged(self.disk, name, 0, what));
        }
        if oldest_base > self.index.compacted.max(EMPTY) {
            let what = "the log before it is missing";
            return Err(damaged(self.disk, oldest_name, 0, what));
        }
        self.index.forget(usize::MAX);
        let missing = self
            .index
            .referenced()
            .find(|id| self.files.get(*id).is_none());
        if let Some(id) = missing {
            let name = file::name_of(Kind::Segment, id);
            return Err(damaged(self.disk, &name, 0, "it is missing"));
        }
        Ok(())
    }

    fn decode(&self, segment: &LogFile, offset: u64, frame: &Frame) -> Result<Entry, OpenError> {
        let what = "a frame checks but makes no sense";
        entry::decode(&frame.payload).ok_or_else(|| damaged(self.disk, &segment.name, offset, what))
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
fn reread(moved: &[u8], nonce: u32, batch: Vec<Pending>) -> Vec<Pending> {
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
            let entry = entry::decode(&frame.payload).unwrap_or(pending.entry);
            Pending { offset, len, entry }
        })
        .collect()
}

fn location(file: &LogFile, offset: u64, frame: &Frame) -> Location {
    Location {
        file: file.header.id,
        len: frame.payload.len() as u32,
        offset,
    }
}

/// A change that does not keep the piece of the file alive that it was read
/// from.
fn owned_change(change: LoggedChange) -> LoggedChange {
    LoggedChange {
        key: Bytes::copy_from_slice(&change.key),
        prev: change.prev,
        put: change.put.map(owned),
    }
}

fn owned(fields: PutFields) -> PutFields {
    PutFields {
        value: Bytes::copy_from_slice(&fields.value),
        ..fields
    }
}

fn damaged(disk: &dyn Disk, name: &str, offset: u64, what: &'static str) -> OpenError {
    let file = disk.describe(name);
    OpenError::Damaged { file, offset, what }
}

fn io_error(
    disk: &dyn Disk,
    operation: &'static str,
    name: &str,
) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let file = disk.describe(name);
    move |source| OpenError::Io {
        operation,
        file,
        source,
    }
}
