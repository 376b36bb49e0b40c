//! Header blocks: names and values, compressed as one stream per direction with
//! the protocol's dictionary.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::frame::Malformed;

/// The dictionary of SPDY/3, whose Adler-32 is `e3c6a7c2`.
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
/// The largest block that is unpacked.
const BLOCK_MAX: usize = 64 << 10;

/// Names, in lower case, and values. Names may repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a name, which is compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Headers {
        self.0.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |bytes: &[u8]| {
            out.extend_from_slice(&length(bytes.len()).to_be_bytes());
            out.extend_from_slice(bytes);
        };
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let values = self.0.iter().filter(|(known, _)| known == name);
            let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
            put(name.as_bytes());
            put(values.join("\0").as_bytes());
        }
        let mut block = length(names.len()).to_be_bytes().to_vec();
        block.append(&mut out);
        block
    }

    fn read(mut block: &[u8]) -> Result<Headers, Malformed> {
        let mut headers = Headers::default();
        for _ in 0..number(&mut block)? {
            let name = text(&mut block)?;
            let values = text(&mut block)?;
            for value in values.split('\0') {
                headers = headers.with(&name, value);
            }
        }
        match block.is_empty() {
            true => Ok(headers),
            false => Err(Malformed("a header block has a tail")),
        }
    }
}

/// What fits a frame fits 32 bits.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn number(block: &mut &[u8]) -> Result<u32, Malformed> {
    let (number, rest) = block
        .split_first_chunk::<4>()
        .ok_or(Malformed("a header block ends early"))?;
    *block = rest;
    Ok(u32::from_be_bytes(*number))
}

fn text(block: &mut &[u8]) -> Result<String, Malformed> {
    let length = number(block)? as usize;
    let (text, rest) = block
        .split_at_checked(length)
        .ok_or(Malformed("a header block ends early"))?;
    *block = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Compresses the blocks of one direction, in their order.
pub(crate) struct Packer(Compress);

impl Packer {
    pub(crate) fn new() -> Packer {
        let mut compress = Compress::new(Compression::new(6), true);
        let set = compress.set_dictionary(DICTIONARY);
        debug_assert!(set.is_ok(), "the dictionary is set before anything else");
        Packer(compress)
    }

    pub(crate) fn pack(&mut self, headers: &Headers) -> Result<Vec<u8>, Malformed> {
        let block = headers.write();
        let mut out = Vec::with_capacity(block.len() + 64);
        let (start, mut at) = (self.0.total_in(), 0);
        loop {
            out.reserve(256);
            self.0
                .compress_vec(&block[at..], &mut out, FlushCompress::Sync)
                .map_err(|_| Malformed("a header block cannot be compressed"))?;
            at = usize::try_from(self.0.total_in() - start).unwrap_or(block.len());
            // Room is left: everything has been flushed.
            if at == block.len() && out.len() < out.capacity() {
                return Ok(out);
            }
        }
    }
}

/// Unpacks the blocks of one direction, in their order.
pub(crate) struct Unpacker(Decompress);

impl Unpacker {
    pub(crate) fn new() -> Unpacker {
        Unpacker(Decompress::new(true))
    }

    pub(crate) fn unpack(&mut self, packed: &[u8]) -> Result<Headers, Malformed> {
        let mut out = Vec::with_capacity(1024);
        let (start, mut at) = (self.0.total_in(), 0);
        loop {
            out.reserve(1024);
            let result = self
                .0
                .decompress_vec(&packed[at..], &mut out, FlushDecompress::Sync);
            at = usize::try_from(self.0.total_in() - start).unwrap_or(packed.len());
            match result {
                Ok(Status::StreamEnd) => return Err(Malformed("the header stream has ended")),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(DICTIONARY)
                        .map_err(|_| Malformed("headers are packed with another dictionary"))?;
                    continue;
                }
                Err(_) => return Err(Malformed("a header block cannot be unpacked")),
            }
            if out.len() > BLOCK_MAX {
                return Err(Malformed("a header block is too large"));
            }
            if at == packed.len() && out.len() < out.capacity() {
                return Headers::read(&out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_travel_in_their_order() {
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
        for number in 0..200 {
            let headers = Headers::default()
                .with("streamType", "data")
                .with("port", &number.to_string())
                .with("long", &"x".repeat(number * 50))
                .with("twice", "a")
                .with("twice", "b");
            let packed = packer.pack(&headers).unwrap();
            let mut read = unpacker.unpack(&packed).unwrap();
            assert_eq!(read.get("StreamType"), Some("data"));
            assert_eq!(read.get("port"), Some(number.to_string().as_str()));
            read.0.sort();
            let mut sent = headers.0.clone();
            sent.sort();
            assert_eq!(read.0, sent);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Unpacker::new().unpack(b"nonsense").is_err());
        assert!(Headers::read(&[0, 0, 0, 1, 0, 0, 0, 9, b'a']).is_err());
        assert!(Headers::read(&[0xff; 8]).is_err());
        assert!(Headers::read(&[0, 0, 0, 0, 1]).is_err());
        let bomb = Headers::default().with("a", &"x".repeat(BLOCK_MAX + 1));
        let packed = Packer::new().pack(&bomb).unwrap();
        assert!(Unpacker::new().unpack(&packed).is_err());
    }
}
