//! Writes ustar archives with PAX records where ustar does not suffice.
//!
//! Equal input gives equal bytes: nothing is taken from the machine.

use std::io::{self, Read, Write};

use super::{
    BLOCK,
    header::{Kind, Time},
};

/// A member to write.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name, without a leading slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Where a link points.
    pub link: String,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of modification.
    pub mtime: Time,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// A member of root's, with the usual permissions of its kind.
    pub fn new(path: impl Into<String>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            link: String::new(),
            mode: if kind == Kind::Directory {
                0o755
            } else {
                0o644
            },
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }

    /// With these permissions.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Pointing there.
    #[must_use]
    pub fn link(mut self, link: impl Into<String>) -> Self {
        self.link = link.into();
        self
    }

    /// Belonging to them.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.uid = uid;
        self.gid = gid;
        self
    }
}

/// Writes members in the order given.
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes a member with its content.
    pub fn append(&mut self, member: &Member, content: &[u8]) -> io::Result<()> {
        self.append_stream(member, &mut &content[..], content.len() as u64)
    }

    /// Writes a member whose content is a stream of `size` bytes.
    pub fn append_stream(
        &mut self,
        member: &Member,
        content: &mut dyn Read,
        size: u64,
    ) -> io::Result<()> {
        let records = records(member, size);
        if !records.is_empty() {
            let header = raw_header(b"PaxHeaders/record", b'x', records.len() as u64);
            self.inner.write_all(&header)?;
            self.padded(&records)?;
        }
        self.inner.write_all(&header(member, size))?;
        if io::copy(&mut content.take(size), &mut self.inner)? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        self.inner.write_all(&[0; BLOCK][..padding])
    }

    /// Ends the archive and gives the stream back.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK])?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn padded(&mut self, content: &[u8]) -> io::Result<()> {
        self.inner.write_all(content)?;
        let padding = content.len().next_multiple_of(BLOCK) - content.len();
        self.inner.write_all(&[0; BLOCK][..padding])
    }
}

fn header(member: &Member, size: u64) -> Vec<u8> {
    let flag = match member.kind {
        Kind::File => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    let mut block = blank(member.path.as_bytes(), flag);
    octal(&mut block[100..108], u64::from(member.mode));
    octal(&mut block[108..116], u64::from(member.uid));
    octal(&mut block[116..124], u64::from(member.gid));
    octal(&mut block[124..136], size);
    octal(
        &mut block[136..148],
        u64::try_from(member.mtime.seconds).unwrap_or(0),
    );
    put(&mut block[157..257], member.link.as_bytes());
    octal(&mut block[329..337], u64::from(member.device.0));
    octal(&mut block[337..345], u64::from(member.device.1));
    sealed(block)
}

/// A header with nothing but a name, a type and a size.
pub(super) fn raw_header(path: &[u8], flag: u8, size: u64) -> Vec<u8> {
    let mut block = blank(path, flag);
    octal(&mut block[100..108], 0o644);
    octal(&mut block[124..136], size);
    sealed(block)
}

fn blank(path: &[u8], flag: u8) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    put(&mut block[0..100], path);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// Writes as many bytes as fit.
fn put(field: &mut [u8], bytes: &[u8]) {
    let count = bytes.len().min(field.len());
    field[..count].copy_from_slice(&bytes[..count]);
}

/// Writes digits and a NUL, or in base 256 what digits cannot hold.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    if text.len() <= digits {
        put(field, text.as_bytes());
        return;
    }
    let bytes = value.to_be_bytes();
    let start = field.len().saturating_sub(bytes.len());
    let skip = bytes.len().saturating_sub(field.len());
    field[start..].copy_from_slice(&bytes[skip..]);
    field[0] |= 0x80;
}

/// The PAX records that a member needs.
fn records(member: &Member, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if member.path.len() > 100 {
        out.extend(record(b"path", member.path.as_bytes()));
    }
    if member.link.len() > 100 {
        out.extend(record(b"linkpath", member.link.as_bytes()));
    }
    if size >= 1 << 33 {
        out.extend(record(b"size", size.to_string().as_bytes()));
    }
    if member.mtime.nanos != 0 || member.mtime.seconds < 0 {
        let time = decimal(member.mtime);
        out.extend(record(b"mtime", time.as_bytes()));
    }
    for (name, value) in &member.xattrs {
        out.extend(record(&[b"SCHILY.xattr.", &name[..]].concat(), value));
    }
    out
}

fn decimal(time: Time) -> String {
    let total = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    format!(
        "{sign}{}.{:09}",
        total / 1_000_000_000,
        total % 1_000_000_000
    )
}

/// One record, whose length counts its own digits.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut out = length.to_string().into_bytes();
    out.push(b' ');
    out.extend(key);
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{super::reader::Reader, *};

    #[test]
    fn what_is_written_is_read() {
        let long = format!("{}/file", "directory".repeat(30));
        let mut file = Member::new(long.clone(), Kind::File).owner(3_000_000, 5);
        file.mtime = Time {
            seconds: -2,
            nanos: 750_000_000,
        };
        file.xattrs = vec![(b"user.a".to_vec(), b"b=\n\0".to_vec())];
        let mut device = Member::new("null", Kind::Char).mode(0o666);
        device.device = (1, 3);
        let mut writer = Writer::new(Vec::new());
        writer.append(&file, b"content").unwrap();
        writer.append(&device, b"").unwrap();
        let bytes = writer.finish().unwrap();

        let mut reader = Reader::new(&bytes[..]);
        let entry = reader.next().unwrap().unwrap();
        assert_eq!(entry.path, long.as_bytes());
        assert_eq!((entry.uid, entry.gid), (3_000_000, 5));
        assert_eq!(entry.mtime, file.mtime);
        assert_eq!(entry.xattrs, file.xattrs);
        let mut content = String::new();
        reader.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        let entry = reader.next().unwrap().unwrap();
        assert_eq!(entry.device, (1, 3));
        assert_eq!(entry.mode, 0o666);
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn records_count_their_own_digits() {
        for size in [1, 2, 90, 91, 92, 93, 94, 990, 991, 992, 993] {
            let record = record(b"k", &vec![b'v'; size]);
            let text = String::from_utf8(record.clone()).unwrap();
            let length: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, record.len());
        }
    }

    #[test]
    fn every_cut_is_noticed_or_harmless() {
        let mut writer = Writer::new(Vec::new());
        let member = Member::new("a", Kind::File);
        writer.append(&member, &[1; 700]).unwrap();
        let bytes = writer.finish().unwrap();
        for cut in 1..512 + 700 {
            let mut reader = Reader::new(&bytes[..cut]);
            let torn = match reader.next() {
                Err(_) => true,
                Ok(_) => reader.read_to_end(&mut Vec::new()).is_err(),
            };
            assert!(torn, "cut at {cut}");
        }
    }
}
