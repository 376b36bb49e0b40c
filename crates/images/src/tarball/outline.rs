//! The outline of a tar archive: all of it but the content of its files.
//!
//! With the unpacked files it makes the archive again, byte by byte, so that
//! a layer keeps its diff ID when it is exported or pushed, and need not be
//! kept packed. (Docker's tar-split does the same in another form.)

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{BLOCK, Skip, extended::Extended, header::Header};

/// Raw bytes follow: their number (4 bytes) and they.
const RAW: u8 = 0;
/// The content of a file follows: its size (8 bytes), the length of its path
/// (4 bytes) and that.
const CONTENT: u8 = 1;
/// How many raw bytes are written at a time, and the longest path.
const CHUNK: usize = 64 * 1024;
/// The longest set of records that is looked at; the reader allows no more.
const EXTENDED_MAX: u64 = 1024 * 1024;

/// Records the outline of an archive that is read through it.
pub struct Recorder<R, W> {
    inner: R,
    out: W,
    raw: Vec<u8>,
    state: State,
    extended: Extended,
}

enum State {
    Header(Vec<u8>),
    Extended {
        flag: u8,
        left: u64,
        content: Vec<u8>,
        padding: u64,
    },
    Content {
        left: u64,
        padding: u64,
    },
    Padding(u64),
    /// After the end, or after what the reader will refuse.
    Tail,
}

impl<R: Read, W: Write> Recorder<R, W> {
    /// Reads from `inner` and writes the outline to `out`.
    pub fn new(inner: R, out: W) -> Self {
        Self {
            inner,
            out,
            raw: Vec::new(),
            state: State::Header(Vec::new()),
            extended: Extended::default(),
        }
    }

    /// Reads what is left, and returns both ends.
    pub fn finish(mut self) -> io::Result<(R, W)> {
        let mut scratch = vec![0; CHUNK];
        while self.read(&mut scratch)? > 0 {}
        self.flush_raw()?;
        Ok((self.inner, self.out))
    }

    fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let wanted = match &self.state {
                State::Header(seen) => (BLOCK - seen.len()) as u64,
                State::Extended { left, .. }
                | State::Content { left, .. }
                | State::Padding(left) => *left,
                State::Tail => u64::MAX,
            };
            let count = usize::try_from(wanted)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (now, later) = bytes.split_at(count);
            bytes = later;
            self.step(now)?;
        }
        Ok(())
    }

    /// Takes bytes that belong to the current state.
    fn step(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !matches!(self.state, State::Content { .. }) {
            self.raw.extend_from_slice(bytes);
            if self.raw.len() >= CHUNK {
                self.flush_raw()?;
            }
        }
        let count = bytes.len() as u64;
        match &mut self.state {
            State::Header(seen) => {
                seen.extend_from_slice(bytes);
                if let Ok(block) = <[u8; BLOCK]>::try_from(&seen[..]) {
                    self.state = self.header(&block)?;
                }
            }
            State::Extended {
                flag,
                left,
                content,
                padding,
            } => {
                content.extend_from_slice(bytes);
                *left -= count;
                if *left == 0 {
                    note(&mut self.extended, *flag, content);
                    self.state = padded(*padding);
                }
            }
            State::Content { left, padding } => {
                *left -= count;
                if *left == 0 {
                    self.state = padded(*padding);
                }
            }
            State::Padding(left) => {
                *left -= count;
                if *left == 0 {
                    self.state = padded(0);
                }
            }
            State::Tail => {}
        }
        Ok(())
    }

    /// What comes after a header.
    fn header(&mut self, block: &[u8; BLOCK]) -> io::Result<State> {
        let header = Header(block);
        let size = header.size().and_then(|size| u64::try_from(size).ok());
        let (false, true, Some(size)) = (header.is_zero(), header.checksum_fits(), size) else {
            return Ok(State::Tail);
        };
        let flag = header.type_flag();
        if matches!(flag, b'L' | b'K' | b'x' | b'g') {
            if size > EXTENDED_MAX {
                return Ok(State::Tail);
            }
            let (content, padding) = (Vec::new(), padding(size));
            return Ok(match size {
                0 => padded(0),
                left => State::Extended {
                    flag,
                    left,
                    content,
                    padding,
                },
            });
        }
        let extended = std::mem::take(&mut self.extended);
        let path = extended.path.unwrap_or_else(|| header.path());
        let is_file = match flag {
            0 => !path.ends_with(b"/"),
            flag => matches!(flag, b'0' | b'7'),
        };
        let size = extended.size.unwrap_or(size);
        if !is_file || size == 0 {
            return Ok(padded(0));
        }
        self.flush_raw()?;
        self.out.write_all(&[CONTENT])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(&path)?;
        Ok(State::Content {
            left: size,
            padding: padding(size),
        })
    }

    fn flush_raw(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        self.out.write_all(&[RAW])?;
        self.out.write_all(&(self.raw.len() as u32).to_le_bytes())?;
        self.out.write_all(&self.raw)?;
        self.raw.clear();
        Ok(())
    }
}

impl<R: Read, W: Write> Read for Recorder<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.feed(&buffer[..count])?;
        Ok(count)
    }
}

impl<R: Read, W: Write> Skip for Recorder<R, W> {}

fn note(extended: &mut Extended, flag: u8, content: &[u8]) {
    match flag {
        b'L' => {
            let end = content.iter().position(|byte| *byte == 0);
            extended.path = Some(content[..end.unwrap_or(content.len())].to_vec());
        }
        // What is no record is refused by the reader.
        b'x' => drop(extended.records(content)),
        _ => {}
    }
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn padded(padding: u64) -> State {
    match padding {
        0 => State::Header(Vec::with_capacity(BLOCK)),
        left => State::Padding(left),
    }
}

/// Makes the archive again from its outline and the directory into which it
/// was unpacked. Whoever writes it verifies what comes out.
pub fn rebuild(outline: &mut dyn Read, unpacked: &Path, out: &mut dyn Write) -> io::Result<()> {
    let root = File::open(unpacked)?;
    let mut tag = [0];
    while outline.read(&mut tag)? == 1 {
        match tag[0] {
            RAW => {
                let count = u64::from(u32::from_le_bytes(bytes(outline)?));
                copy(outline, count, out)?;
            }
            CONTENT => {
                let size = u64::from_le_bytes(bytes(outline)?);
                let length = u64::from(u32::from_le_bytes(bytes(outline)?));
                let mut path = Vec::new();
                outline
                    .take(length.min(EXTENDED_MAX))
                    .read_to_end(&mut path)?;
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let inside = ResolveFlags::IN_ROOT;
                let file =
                    rustix::fs::openat2(root.as_fd(), &path[..], flags, Mode::empty(), inside)?;
                copy(&mut File::from(file), size, out)?;
            }
            _ => return Err(io::Error::other("the outline is damaged")),
        }
    }
    Ok(())
}

fn bytes<const N: usize>(from: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn copy(from: &mut dyn Read, count: u64, out: &mut dyn Write) -> io::Result<()> {
    if io::copy(&mut from.take(count), out)? < count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
