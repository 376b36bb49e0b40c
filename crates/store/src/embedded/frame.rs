//! Frames: the checksummed pieces that every file consists of.
//!
//! ```text
//! u32 nonce     of the file, so that no other file's bytes pass for ours
//! u32 checksum  CRC-32 of all that follows
//! u32 length    of the payload
//! u32 batch     counts the batches of the file; the top bit marks the last
//!               frame of its batch
//! payload, padded with zeros to a multiple of eight
//! ```
//!
//! A batch is written at once and made durable before the next is written.
//! The batch numbers therefore tell a torn tail from damage: a frame that
//! does not check, followed by one of a batch that began after its own had
//! been made durable, cannot be the work of a crash.

use bytes::Bytes;

/// The bytes before a payload.
pub(super) const HEADER: usize = 16;
const ALIGNMENT: usize = 8;
const LAST: u32 = 1 << 31;

/// A frame as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) payload: Bytes,
    pub(super) batch: u32,
    pub(super) last: bool,
    /// The bytes that it takes in the file.
    pub(super) size: usize,
}

/// What stands at a place where a frame could begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Frame(Frame),
    /// A frame may begin here, but its end lies beyond the data; this many
    /// bytes are needed.
    Short(usize),
    Invalid,
}

/// Puts a batch of frames into a buffer.
pub(super) struct FrameWriter<'a> {
    buffer: &'a mut Vec<u8>,
    nonce: u32,
    batch: u32,
    /// Where the frame begins that is complete except for its header.
    open: Option<usize>,
}

/// How many bytes a frame takes in the file.
pub(super) fn size_of(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGNMENT)
}

impl<'a> FrameWriter<'a> {
    /// Appends frames of one batch to `buffer`.
    pub(super) fn new(buffer: &'a mut Vec<u8>, nonce: u32, batch: u32) -> Self {
        debug_assert!(nonce != 0, "zeros must not look like a frame");
        Self {
            buffer,
            nonce,
            batch: batch & !LAST,
            open: None,
        }
    }

    /// Adds a frame whose payload `write` appends, and returns its place in
    /// the buffer and the payload's length.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> (usize, usize) {
        self.seal(false);
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER]);
        write(self.buffer);
        let payload = self.buffer.len() - begin - HEADER;
        self.open = Some(begin);
        (begin, payload)
    }

    /// Ends the batch.
    pub(super) fn finish(mut self) {
        self.seal(true);
    }

    fn seal(&mut self, last: bool) {
        let Some(begin) = self.open.take() else {
            return;
        };
        let payload = self.buffer.len() - begin - HEADER;
        let batch = if last { self.batch | LAST } else { self.batch };
        let header = &mut self.buffer[begin..begin + HEADER];
        header[0..4].copy_from_slice(&self.nonce.to_le_bytes());
        header[8..12].copy_from_slice(&(payload as u32).to_le_bytes());
        header[12..16].copy_from_slice(&batch.to_le_bytes());
        let checksum = crc32fast::hash(&self.buffer[begin + 8..]);
        self.buffer[begin + 4..begin + 8].copy_from_slice(&checksum.to_le_bytes());
        let end = begin + size_of(payload);
        self.buffer.resize(end, 0);
    }
}

/// Looks at the beginning of `data` for a frame of at most `max` payload
/// bytes.
pub(super) fn parse(data: &Bytes, nonce: u32, max: usize) -> Parsed {
    if data.len() < HEADER {
        return Parsed::Short(HEADER);
    }
    let word = |at: usize| {
        let bytes = [data[at], data[at + 1], data[at + 2], data[at + 3]];
        u32::from_le_bytes(bytes)
    };
    let (length, batch) = (word(8) as usize, word(12));
    if word(0) != nonce || length > max {
        return Parsed::Invalid;
    }
    let size = size_of(length);
    if data.len() < size {
        return Parsed::Short(size);
    }
    if crc32fast::hash(&data[8..HEADER + length]) != word(4) {
        return Parsed::Invalid;
    }
    Parsed::Frame(Frame {
        payload: data.slice(HEADER..HEADER + length),
        batch: batch & !LAST,
        last: batch & LAST != 0,
        size,
    })
}

/// The next place from `from` on where a frame could begin.
pub(super) fn next_candidate(data: &[u8], from: usize, nonce: u32) -> Option<usize> {
    let nonce = nonce.to_le_bytes();
    (from.next_multiple_of(ALIGNMENT)..data.len().saturating_sub(HEADER - 1))
        .step_by(ALIGNMENT)
        .find(|at| data[*at..at + 4] == nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: u32 = 0xfeed_beef;

    fn batch(payloads: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut writer = FrameWriter::new(&mut buffer, NONCE, 3);
        for payload in payloads {
            writer.add(|buffer| buffer.extend_from_slice(payload));
        }
        writer.finish();
        buffer
    }

    #[test]
    fn frames_read_as_written() {
        let data = Bytes::from(batch(&[b"one", b"", b"eight by"]));
        let mut at = 0;
        let mut seen = Vec::new();
        while at < data.len() {
            match parse(&data.slice(at..), NONCE, 100) {
                Parsed::Frame(frame) => {
                    assert_eq!(frame.batch, 3);
                    at += frame.size;
                    seen.push((frame.payload, frame.last));
                }
                other => panic!("{other:?} at {at}"),
            }
        }
        let expected: [(&[u8], bool); 3] = [(b"one", false), (b"", false), (b"eight by", true)];
        assert_eq!(seen, expected.map(|(p, l)| (Bytes::from(p), l)));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = batch(&[b"payload"]);
        for bit in 0..(HEADER + 7) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let parsed = parse(&bad.into(), NONCE, 100);
            assert!(!matches!(parsed, Parsed::Frame(_)), "bit {bit}");
        }
    }

    #[test]
    fn candidates_are_found_behind_garbage() {
        let mut data = vec![7; 13];
        data.resize(16, 0);
        data.extend(batch(&[b"x"]));
        assert_eq!(next_candidate(&data, 0, NONCE), Some(16));
        assert_eq!(next_candidate(&data, 17, NONCE), None);
    }
}
