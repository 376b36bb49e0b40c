//! Finds out how a stream is compressed, by its first bytes, and undoes it.
//!
//! Media types are not asked: archives often carry none, and those that do
//! are sometimes wrong.

use std::io::{self, BufReader, Cursor, Read};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, possibly in several members.
    Gzip,
    /// Zstandard.
    Zstd,
}

const BUFFER: usize = 128 * 1024;

/// How many bytes tell a compression.
const MAGIC: usize = 8;

/// Reads `stream` uncompressed. Compressions that this crate cannot read are
/// refused by their name.
pub fn decompress<'a>(stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = stream;
    let mut start = Vec::with_capacity(MAGIC);
    stream.by_ref().take(MAGIC as u64).read_to_end(&mut start)?;
    let compression = detect(&start)?;
    let stream = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(stream));
    Ok(match compression {
        Compression::None => Box::new(stream),
        Compression::Gzip => Box::new(BufReader::with_capacity(
            BUFFER,
            flate2::bufread::MultiGzDecoder::new(stream),
        )),
        Compression::Zstd => Box::new(BufReader::with_capacity(
            BUFFER,
            zstd::Decoder::with_buffer(stream)?,
        )),
    })
}

/// Names the compression of a stream that starts with `start`.
pub fn detect(start: &[u8]) -> io::Result<Compression> {
    const REFUSED: [(&[u8], &str); 4] = [
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"PK\x03\x04", "zip"),
    ];
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Compression::Gzip);
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_zstd(start) {
        return Ok(Compression::Zstd);
    }
    match REFUSED.iter().find(|(magic, _)| start.starts_with(magic)) {
        None => Ok(Compression::None),
        Some((_, name)) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{name} compression is not supported (gzip and zstd are)"),
        )),
    }
}

fn is_skippable_zstd(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn undoes_what_it_knows() {
        let text = b"some text, some text, some text".repeat(1000);
        assert_eq!(read(&text).unwrap(), text);
        assert_eq!(read(&gzip(&text)).unwrap(), text);
        let two = [gzip(b"first "), gzip(b"second")].concat();
        assert_eq!(read(&two).unwrap(), b"first second");
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        assert_eq!(read(&zstd).unwrap(), text);
        assert_eq!(read(b"").unwrap(), b"");
    }

    #[test]
    fn refuses_by_name() {
        let error = read(b"BZh91AY").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("bzip2 "), "{error}");
        assert!(read(b"\xfd7zXZ\0\0").is_err());
    }

    #[test]
    fn torn_streams_are_errors() {
        let whole = gzip(&b"text".repeat(100));
        assert!(read(&whole[..whole.len() - 4]).is_err());
        let whole = zstd::encode_all(&b"text".repeat(100)[..], 3).unwrap();
        assert!(read(&whole[..whole.len() - 4]).is_err());
    }
}
