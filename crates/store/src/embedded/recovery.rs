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

use std::collections::BTreeMap;

use bytes::Bytes;
use stdx::{Clock, Rng};

use super::{
    Options,
    entry::{self, Entry, FileId, Location, LoggedChange, LoggedPut},
    file::{self, BadHeader, FIRST_FRAME, Files, Header, Kind, LogFile, Next},
    frame::Frame,
    index::Index,
    open_error::{OpenError, damaged, io_error},
    writer::{Active, Tail},
};
use crate::{
    Revision,
    blob::Pool,
    disk::{Disk, Lock, LockError},
};

/// The revision of an empty store. It is not zero, which clients use to say
/// that any revision will do.
const EMPTY: Revision = Revision(1);
/// How much is read at once.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

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
    pool: &Pool,
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
        pool,
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

/// The end of a segment to which batches can be added.
pub(super) fn active(segment: &LogFile, len: u64) -> Active {
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
    let len = handle.size().await.map_err(reading())?;
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

/// What has been found so far.
pub(super) struct Recovery<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) rng: &'a Rng,
    pub(super) options: &'a Options,
    pub(super) pool: &'a Pool,
    pub(super) index: Index,
    pub(super) files: Files,
    /// The log must reach at least this revision.
    pub(super) until: Revision,
    /// The last revision read from the log.
    pub(super) position: Revision,
    pub(super) next_file: u32,
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
            match entry::decode(&frame.payload, self.pool) {
                Some(Entry::Record { modified, put }) => {
                    let LoggedPut { key, fields } = put;
                    let key = Bytes::copy_from_slice(&key);
                    self.index.load(key, modified, location, fields);
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

    /// Takes an entry of a segment in.
    pub(super) fn take(
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

    pub(super) fn decode(
        &self,
        segment: &LogFile,
        offset: u64,
        frame: &Frame,
    ) -> Result<Entry, OpenError> {
        let what = "a frame checks but makes no sense";
        entry::decode(&frame.payload, self.pool)
            .ok_or_else(|| damaged(self.disk, &segment.name, offset, what))
    }
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
        ..change
    }
}
