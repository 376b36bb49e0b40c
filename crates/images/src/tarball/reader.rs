//! Reads a tar stream member by member.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    BLOCK,
    extended::Extended,
    header::{Header, Kind, Time},
};

/// Bound of one long name or one set of extended records.
const EXTENDED_MAX: u64 = 1024 * 1024;

/// A member of an archive. Its content is read from the [`Reader`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as the archive spells it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Where a link points.
    pub link: Vec<u8>,
    /// Permissions, with the set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content that follow.
    pub size: u64,
    /// Time of modification.
    pub mtime: Time,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What is wrong with a tar stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream could not be read.
    #[error("read the archive")]
    Read(#[source] io::Error),
    /// The stream ended inside a member.
    #[error("the archive is torn: it ends at byte {at}, inside {what}")]
    Torn {
        /// Bytes read until then.
        at: u64,
        /// The member, or the part of it.
        what: String,
    },
    /// A header's checksum does not fit: damage, or no tar at all.
    #[error("no tar header at byte {at}: its checksum does not fit")]
    Checksum {
        /// Where the header starts.
        at: u64,
    },
    /// A field cannot be used.
    #[error("member {path:?}: {field} is invalid")]
    Field {
        /// The member.
        path: String,
        /// The field.
        field: &'static str,
    },
    /// A name or a set of records beyond all reason.
    #[error("an extended header of {size} bytes at byte {at} exceeds {EXTENDED_MAX}")]
    Extended {
        /// Where it starts.
        at: u64,
        /// Its size.
        size: u64,
    },
    /// A kind of member that is not supported.
    #[error("member {path:?}: {what} is not supported")]
    Unsupported {
        /// The member.
        path: String,
        /// The kind.
        what: String,
    },
}

/// How to pass over content that nobody wants.
pub trait Skip: Read {
    /// Passes over `count` bytes; returns how many there were.
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut scratch = [0; 16 * 1024];
        let mut done = 0;
        while done < count {
            let want = (count - done).min(scratch.len() as u64) as usize;
            match self.read(&mut scratch[..want])? {
                0 => break,
                read => done += read as u64,
            }
        }
        Ok(done)
    }
}

impl<R: Read + ?Sized> Skip for &mut R {}
impl Skip for &[u8] {}
impl<R: Read + ?Sized> Skip for Box<R> {}
impl<R: Read> Skip for crate::digest::Verifier<R> {}

/// Passes over content by seeking. The file is at its start.
pub struct Seeking<F> {
    file: F,
    position: u64,
    length: u64,
}

impl<F: Read + Seek> Seeking<F> {
    /// Seeks in `file`, from its start.
    pub fn new(mut file: F) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            file,
            position: 0,
            length,
        })
    }
}

impl<F: Read> Read for Seeking<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<F: Read + Seek> Skip for Seeking<F> {
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let count = count.min(self.length.saturating_sub(self.position));
        self.position = self.file.seek(SeekFrom::Start(self.position + count))?;
        Ok(count)
    }
}

/// Reads members in their order. Between two calls of [`Reader::next`] it is
/// a [`Read`] of the member's content.
pub struct Reader<R> {
    inner: R,
    /// Bytes consumed.
    at: u64,
    /// Bytes of content still unread, and of padding after them.
    remaining: u64,
    padding: u64,
    current: String,
}

impl<R: Skip> Reader<R> {
    /// Reads from `inner`, which is uncompressed.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            at: 0,
            remaining: 0,
            padding: 0,
            current: String::new(),
        }
    }

    /// The next member, or none at the end of the archive.
    #[expect(clippy::should_implement_trait, reason = "it lends, and can fail")]
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        let mut extended = Extended::default();
        loop {
            self.finish_member()?;
            let start = self.at;
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Ok(None);
            }
            let header = Header(&block);
            if header.is_zero() {
                return Ok(None);
            }
            if !header.checksum_fits() {
                return Err(Error::Checksum { at: start });
            }
            let path = header.path();
            self.current = lossy(&path);
            let size = self.non_negative(header.size(), "size")?;
            match header.type_flag() {
                b'L' => extended.path = Some(trimmed(self.extended(size, start)?)),
                b'K' => extended.link = Some(trimmed(self.extended(size, start)?)),
                b'x' => {
                    let records = self.extended(size, start)?;
                    extended.records(&records).ok_or(Error::Field {
                        path: self.current.clone(),
                        field: "a PAX record",
                    })?;
                }
                b'g' => drop(self.extended(size, start)?),
                _ => return self.entry(&header, path, size, extended).map(Some),
            }
        }
    }

    /// Where the current member's content starts.
    pub fn position(&self) -> u64 {
        self.at
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        path: Vec<u8>,
        size: u64,
        extended: Extended,
    ) -> Result<Entry, Error> {
        let path = extended.path.unwrap_or(path);
        self.current = lossy(&path);
        if extended.sparse {
            return Err(self.unsupported("a sparse file"));
        }
        let kind = self.kind(header.type_flag(), &path)?;
        let size = match kind {
            Kind::File => extended.size.unwrap_or(size),
            // Links and the like have no content, whatever the size says.
            _ => 0,
        };
        let device = self.field(header.device(), "device number")?;
        let mtime = match extended.mtime {
            Some(time) => time,
            None => Time {
                seconds: self.field(header.mtime(), "mtime")?,
                nanos: 0,
            },
        };
        let entry = Entry {
            kind,
            link: extended.link.unwrap_or_else(|| header.link().to_vec()),
            mode: self.small(header.mode(), "mode")? & 0o7777,
            uid: self.owner(extended.uid, header.uid(), "uid")?,
            gid: self.owner(extended.gid, header.gid(), "gid")?,
            size,
            mtime,
            device: (
                self.small(Some(device.0), "device number")?,
                self.small(Some(device.1), "device number")?,
            ),
            xattrs: extended.xattrs,
            path,
        };
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err(self.invalid("a name with a NUL byte"));
        }
        self.remaining = size;
        self.padding = padding(size);
        Ok(entry)
    }

    fn kind(&self, flag: u8, path: &[u8]) -> Result<Kind, Error> {
        Ok(match flag {
            // Archives before ustar mark directories by a slash.
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(self.unsupported("a sparse file")),
            flag => {
                let what = format!("a member of type {:?}", char::from(flag));
                return Err(self.unsupported(&what));
            }
        })
    }

    /// Passes over what is left of the current member.
    fn finish_member(&mut self) -> Result<(), Error> {
        let count = self.remaining + self.padding;
        let content = self.remaining;
        self.remaining = 0;
        self.padding = 0;
        let skipped = self.inner.skip(count).map_err(Error::Read)?;
        self.at += skipped;
        // A missing last padding loses nothing.
        if skipped < content {
            return Err(self.torn());
        }
        Ok(())
    }

    /// Reads one block; says whether there was one.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Error> {
        let count = self.fill(block)?;
        if count != 0 && count < BLOCK {
            self.current = "a header".to_owned();
            return Err(self.torn());
        }
        Ok(count == BLOCK)
    }

    fn extended(&mut self, size: u64, at: u64) -> Result<Vec<u8>, Error> {
        if size > EXTENDED_MAX {
            return Err(Error::Extended { at, size });
        }
        let mut content = vec![0; size as usize];
        if (self.fill(&mut content)? as u64) < size {
            return Err(self.torn());
        }
        self.padding = padding(size);
        Ok(content)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < buffer.len() {
            match self.inner.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        self.at += done as u64;
        Ok(done)
    }

    fn owner(
        &self,
        extended: Option<u64>,
        header: Option<i64>,
        field: &'static str,
    ) -> Result<u32, Error> {
        let owner = match extended {
            Some(owner) => owner,
            None => self.non_negative(header, field)?,
        };
        match u32::try_from(owner) {
            // The kernel reads the largest as "leave it as it is".
            Ok(u32::MAX) | Err(_) => Err(self.invalid(field)),
            Ok(owner) => Ok(owner),
        }
    }

    fn small(&self, value: Option<i64>, field: &'static str) -> Result<u32, Error> {
        let value = self.field(value, field)?;
        u32::try_from(value).map_err(|_| self.invalid(field))
    }

    fn non_negative(&self, value: Option<i64>, field: &'static str) -> Result<u64, Error> {
        let value = self.field(value, field)?;
        u64::try_from(value).map_err(|_| self.invalid(field))
    }

    fn field<T>(&self, value: Option<T>, field: &'static str) -> Result<T, Error> {
        value.ok_or_else(|| self.invalid(field))
    }

    fn invalid(&self, field: &'static str) -> Error {
        Error::Field {
            path: self.current.clone(),
            field,
        }
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::Unsupported {
            path: self.current.clone(),
            what: what.to_owned(),
        }
    }

    fn torn(&self) -> Error {
        Error::Torn {
            at: self.at,
            what: self.current.clone(),
        }
    }
}

impl<R: Skip> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = (buffer.len() as u64).min(self.remaining) as usize;
        if want == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..want])?;
        if count == 0 {
            let error = self.torn();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        self.at += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// A GNU long name without the NUL at its end.
fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    while name.last() == Some(&0) {
        name.pop();
    }
    name
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_is_refused() {
        let rubbish = [7; 2048];
        assert!(matches!(
            Reader::new(&rubbish[..]).next(),
            Err(Error::Checksum { at: 0 })
        ));
        assert!(matches!(
            Reader::new(&rubbish[..100]).next(),
            Err(Error::Torn { .. })
        ));
        assert!(matches!(Reader::new(&b""[..]).next(), Ok(None)));
    }

    #[test]
    fn huge_extended_headers_are_refused() {
        let mut header = super::super::writer::raw_header(b"././@LongLink", b'L', 1 << 40);
        header.extend([0; 1024]);
        assert!(matches!(
            Reader::new(&header[..]).next(),
            Err(Error::Extended { .. })
        ));
    }

    #[test]
    fn sparse_files_are_refused_by_name() {
        let header = super::super::writer::raw_header(b"holes", b'S', 0);
        let error = Reader::new(&header[..]).next().unwrap_err();
        assert_eq!(
            error.to_string(),
            "member \"holes\": a sparse file is not supported"
        );
    }
}
