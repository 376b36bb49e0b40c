//! Frames of HTTP/2 (RFC 9113, section 4).

/// Bytes before a frame's payload.
pub const HEAD: usize = 9;
/// The largest payload that nobody has to allow first.
pub const PAYLOAD_MAX: usize = 16_384;

/// Kinds of frames.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
}

/// A frame where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its kind.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; zero is the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of bytes, if it is whole.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            payload: bytes.get(HEAD..HEAD + length)?,
        })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Its payload without padding.
    pub fn content(&self) -> &'a [u8] {
        if !self.has(flag::PADDED) {
            return self.payload;
        }
        let padding = self.payload.first().map_or(0, |n| usize::from(*n));
        let end = self.payload.len().saturating_sub(padding).max(1);
        self.payload.get(1..end).unwrap_or_default()
    }

    /// A number in its payload.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..).and_then(|p| p.first_chunk::<4>());
        bytes.map_or(0, |four| u32::from_be_bytes(*four))
    }
}

/// Appends a frame.
pub fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_not_before_it_is_whole() {
        let mut bytes = Vec::new();
        write(&mut bytes, kind::DATA, flag::END_STREAM, 5, b"hello");
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(
            (frame.kind, frame.stream, frame.content()),
            (0, 5, &b"hello"[..])
        );
        assert!(frame.has(flag::END_STREAM));
        assert_eq!(Frame::parse(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn padding_is_no_content() {
        let mut bytes = Vec::new();
        write(&mut bytes, kind::DATA, flag::PADDED, 1, b"\x02hi\0\0");
        assert_eq!(Frame::parse(&bytes).unwrap().content(), b"hi");
    }
}
