//! The files of the log: segments, which follow one another, and checkpoints.
//!
//! Every file begins with a header. A segment's header says where its
//! predecessor ends: what lies beyond, be it torn by a crash or written by a
//! sync that failed, does not count. Files get their name only when what they
//! begin with is durable, so a header that does not check is damage.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use stdx::Rng;

use super::{
    entry::FileId,
    frame::{self, Parsed},
};
use crate::{
    Revision,
    disk::{Disk, File},
};

/// The bytes before the first frame.
pub(super) const FIRST_FRAME: u64 = 64;
/// The version of everything that is written.
const FORMAT: u32 = 1;
const SEGMENT_MAGIC: &[u8; 8] = b"TiphysLg";
const CHECKPOINT_MAGIC: &[u8; 8] = b"TiphysCp";
const TEMPORARY: &str = ".tmp";
/// Revisions are noted at least this far apart in a segment.
const MARK_BYTES: u64 = 64 * 1024;
/// No frame is larger, however large a transaction may be.
pub(super) const FRAME_MAX: usize = 256 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    Checkpoint,
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) id: FileId,
    pub(super) nonce: u32,
    /// For a segment its predecessor; for a checkpoint the segment that was
    /// written when it began.
    pub(super) prev: Option<FileId>,
    /// Where the predecessor ends.
    pub(super) prev_end: u64,
    /// The revision before the segment's first; the one at which the
    /// checkpoint began.
    pub(super) base: Revision,
    /// The compaction that was in force.
    pub(super) compacted: Revision,
    /// How many bytes of frames were there when the file got its name.
    pub(super) initial: u64,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    Format(u32),
}

/// A file that belongs to the log.
pub(super) struct LogFile {
    pub(super) header: Header,
    pub(super) name: Arc<str>,
    pub(super) handle: Arc<dyn File>,
    /// Where the durable frames end.
    pub(super) end: u64,
    /// The last revision in a segment.
    pub(super) last: Revision,
    /// Some revisions and where their frames begin.
    marks: Vec<(Revision, u64)>,
}

/// The files of the log by number.
#[derive(Default)]
pub(super) struct Files {
    map: BTreeMap<FileId, LogFile>,
}

/// Reads frames one after another.
pub(super) struct FrameReader<'a> {
    file: &'a dyn File,
    nonce: u32,
    /// Where the next frame begins.
    pub(super) offset: u64,
    end: u64,
    chunk: Bytes,
    chunk_bytes: usize,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Frame {
        offset: u64,
        frame: frame::Frame,
    },
    /// No frame begins here.
    Invalid,
    End,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Segment => "log",
            Self::Checkpoint => "ckpt",
        }
    }

    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Segment => SEGMENT_MAGIC,
            Self::Checkpoint => CHECKPOINT_MAGIC,
        }
    }
}

/// A number that no other file is likely to have, and that zeros are not.
pub(super) fn nonce(rng: &Rng) -> u32 {
    rng.range(1..u64::from(u32::MAX) + 1) as u32
}

/// The name of a file.
pub(super) fn name_of(kind: Kind, id: FileId) -> String {
    format!("{:010}.{}", id.0, kind.extension())
}

/// What a name says; none if it is not one of ours.
pub(super) fn parse_name(name: &str) -> Option<(Kind, FileId)> {
    let (number, extension) = name.split_once('.')?;
    let kind = [Kind::Segment, Kind::Checkpoint]
        .into_iter()
        .find(|kind| kind.extension() == extension)?;
    let id = FileId(number.parse().ok()?);
    (name_of(kind, id) == name).then_some((kind, id))
}

/// Whether a file is one that never got its name.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY)
        .is_some_and(|name| parse_name(name).is_some())
}

/// The name of a file until it is complete.
pub(super) fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// Makes a file that begins with `header` and `frames` and has `len` bytes,
/// durably. After an error there is no such file, or one that has no effect
/// because nothing follows it.
pub(super) async fn create(
    disk: &dyn Disk,
    header: Header,
    frames: &[u8],
    len: u64,
) -> io::Result<LogFile> {
    let name = name_of(header.kind, header.id);
    let created = create_named(disk, &name, header, frames, len).await;
    match created {
        Ok(handle) => Ok(LogFile::new(header, &name, handle, frames.len() as u64)),
        Err(error) => {
            let _ = disk.remove(&temporary(&name)).await;
            let _ = disk.remove(&name).await;
            Err(error)
        }
    }
}

async fn create_named(
    disk: &dyn Disk,
    name: &str,
    header: Header,
    frames: &[u8],
    len: u64,
) -> io::Result<Arc<dyn File>> {
    let temporary = temporary(name);
    let handle = disk.create(&temporary, len).await?;
    let mut begin = header.encode().to_vec();
    begin.extend_from_slice(frames);
    handle.write_at(0, &begin).await?;
    handle.sync().await?;
    disk.rename(&temporary, name).await?;
    disk.sync_dir().await?;
    Ok(handle)
}

impl Header {
    /// The header as bytes.
    pub(super) fn encode(&self) -> [u8; FIRST_FRAME as usize] {
        let mut out = Vec::with_capacity(FIRST_FRAME as usize);
        out.extend_from_slice(self.kind.magic());
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.prev.map_or(u32::MAX, |prev| prev.0).to_le_bytes());
        out.extend_from_slice(&self.prev_end.to_le_bytes());
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.compacted.0.to_le_bytes());
        out.extend_from_slice(&self.initial.to_le_bytes());
        out.resize(FIRST_FRAME as usize - 4, 0);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        let mut header = [0; FIRST_FRAME as usize];
        header.copy_from_slice(&out);
        header
    }

    /// Reads a header of the given kind.
    pub(super) fn decode(kind: Kind, data: &[u8]) -> Result<Self, BadHeader> {
        let data: &[u8; FIRST_FRAME as usize] = data
            .get(..FIRST_FRAME as usize)
            .and_then(|data| data.try_into().ok())
            .ok_or(BadHeader::Damaged)?;
        let u32_at =
            |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let checksum_at = FIRST_FRAME as usize - 4;
        let checks = crc32fast::hash(&data[..checksum_at]) == u32_at(checksum_at);
        if &data[..8] != kind.magic() || !checks {
            return Err(BadHeader::Damaged);
        }
        if u32_at(8) != FORMAT {
            return Err(BadHeader::Format(u32_at(8)));
        }
        Ok(Self {
            kind,
            id: FileId(u32_at(12)),
            nonce: u32_at(16),
            prev: Some(u32_at(20)).filter(|id| *id != u32::MAX).map(FileId),
            prev_end: u64_at(24),
            base: Revision(u64_at(32)),
            compacted: Revision(u64_at(40)),
            initial: u64_at(48),
        })
    }
}

impl LogFile {
    /// A file whose first `frames` bytes of frames are durable.
    pub(super) fn new(header: Header, name: &str, handle: Arc<dyn File>, frames: u64) -> Self {
        Self {
            header,
            name: name.into(),
            handle,
            end: FIRST_FRAME + frames,
            last: header.base,
            marks: Vec::new(),
        }
    }

    /// The same file for a reader, who needs no marks.
    pub(super) fn view(&self) -> Self {
        Self {
            header: self.header,
            name: self.name.clone(),
            handle: self.handle.clone(),
            end: self.end,
            last: self.last,
            marks: Vec::new(),
        }
    }

    /// Notes where a revision's frame begins.
    pub(super) fn note(&mut self, revision: Revision, offset: u64) {
        self.last = revision;
        let due = self
            .marks
            .last()
            .is_none_or(|(_, mark)| offset >= mark + MARK_BYTES);
        if due {
            self.marks.push((revision, offset));
        }
    }

    /// A place from which on the revision's frame will be found.
    pub(super) fn seek(&self, revision: Revision) -> u64 {
        let later = self.marks.partition_point(|(mark, _)| *mark <= revision);
        later
            .checked_sub(1)
            .map_or(FIRST_FRAME, |last| self.marks[last].1)
    }

    /// Reads frames from `offset` to the end, in pieces of `chunk_bytes`.
    pub(super) fn frames(&self, offset: u64, end: u64, chunk_bytes: usize) -> FrameReader<'_> {
        FrameReader {
            file: &*self.handle,
            nonce: self.header.nonce,
            offset,
            end,
            chunk: Bytes::new(),
            chunk_bytes,
        }
    }
}

impl Files {
    pub(super) fn add(&mut self, file: LogFile) {
        self.map.insert(file.header.id, file);
    }

    pub(super) fn remove(&mut self, id: FileId) {
        self.map.remove(&id);
    }

    pub(super) fn get(&self, id: FileId) -> Option<&LogFile> {
        self.map.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: FileId) -> Option<&mut LogFile> {
        self.map.get_mut(&id)
    }

    /// All files, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &LogFile> {
        self.map.values()
    }

    /// The segments, oldest first.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &LogFile> {
        self.iter().filter(|file| file.header.kind == Kind::Segment)
    }

    /// The latest checkpoint.
    pub(super) fn checkpoint(&self) -> Option<&LogFile> {
        self.iter()
            .rfind(|file| file.header.kind == Kind::Checkpoint)
    }
}

impl FrameReader<'_> {
    /// The next frame.
    pub(super) async fn next(&mut self) -> io::Result<Next> {
        let mut wanted = self.chunk_bytes;
        loop {
            if self.offset >= self.end {
                return Ok(Next::End);
            }
            match frame::parse(&self.chunk, self.nonce, FRAME_MAX) {
                Parsed::Frame(frame) => {
                    let offset = self.offset;
                    self.offset += frame.size as u64;
                    self.chunk = self.chunk.slice(frame.size..);
                    return Ok(Next::Frame { offset, frame });
                }
                Parsed::Invalid => return Ok(Next::Invalid),
                Parsed::Short(needed) => {
                    let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
                    if needed > left {
                        return Ok(Next::Invalid);
                    }
                    wanted = wanted.max(needed).min(left);
                    let chunk = self.file.read_at(self.offset, wanted).await?;
                    if chunk.len() < needed {
                        return Ok(Next::Invalid);
                    }
                    self.chunk = chunk;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            kind: Kind::Segment,
            id: FileId(7),
            nonce: 0x1234_5678,
            prev: Some(FileId(6)),
            prev_end: 1 << 40,
            base: Revision(u64::MAX - 1),
            compacted: Revision(9),
            initial: 17,
        }
    }

    #[test]
    fn headers_read_as_written() {
        let header = header();
        assert_eq!(Header::decode(Kind::Segment, &header.encode()), Ok(header));
        let bad = Err(BadHeader::Damaged);
        assert_eq!(Header::decode(Kind::Checkpoint, &header.encode()), bad);
        assert_eq!(Header::decode(Kind::Segment, &[]), bad);
        for bit in 0..FIRST_FRAME as usize * 8 {
            let mut data = header.encode();
            data[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(Kind::Segment, &data), bad, "bit {bit}");
        }
    }

    #[test]
    fn names_say_what_files_are() {
        let name = name_of(Kind::Segment, FileId(12));
        assert_eq!(name, "0000000012.log");
        assert_eq!(parse_name(&name), Some((Kind::Segment, FileId(12))));
        assert!(is_temporary(&temporary(&name)));
        for other in ["12.log", "0000000012.txt", "lock", "0000000012.log.tmp"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
        assert!(!is_temporary("notes.tmp"));
    }
}
