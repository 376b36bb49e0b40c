//! Frames and their bytes. Pure: what reads and writes is elsewhere.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::headers::{Headers, Packer, Unpacker};

const VERSION: u16 = 3;
const FIN: u8 = 1;
/// The largest control frame that is taken; data comes in pieces.
const CONTROL_MAX: usize = 64 << 10;
const INITIAL_WINDOW_SIZE: u32 = 7;
const ID: u32 = 0x7fff_ffff;

/// The peer does not speak the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a SPDY frame: {0}")]
pub struct Malformed(pub &'static str);

/// Why a stream is cut off, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset(pub u32);

impl Reset {
    /// The peer broke the protocol.
    pub const PROTOCOL: Reset = Reset(1);
    /// There is no such stream.
    pub const INVALID: Reset = Reset(2);
    /// The stream is refused before anything was done with it.
    pub const REFUSED: Reset = Reset(3);
    /// Nobody wants it any more.
    pub const CANCEL: Reset = Reset(5);
}

/// One frame. Data may be a part of one: `fin` comes with its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// Of the stream.
        id: u32,
        /// Its sender will send nothing.
        fin: bool,
        /// What it is for.
        headers: Headers,
    },
    /// Answers a stream's opening.
    SynReply {
        /// Of the stream.
        id: u32,
        /// Its sender will send nothing.
        fin: bool,
        /// Further words.
        headers: Headers,
    },
    /// Bytes.
    Data {
        /// Of the stream.
        id: u32,
        /// These are the last.
        fin: bool,
        /// The bytes.
        bytes: Bytes,
    },
    /// Cuts a stream off.
    RstStream {
        /// Of the stream.
        id: u32,
        /// Why.
        reset: Reset,
    },
    /// The size of new streams' windows, when it is told.
    Settings {
        /// In bytes.
        initial_window: Option<u32>,
    },
    /// Answered with the same.
    Ping {
        /// Odd when the client asks.
        id: u32,
    },
    /// No further streams, please.
    GoAway {
        /// The last stream that was heeded.
        last: u32,
    },
    /// Further words about a stream.
    Headers {
        /// Of the stream.
        id: u32,
        /// Its sender will send nothing more.
        fin: bool,
        /// The words.
        headers: Headers,
    },
    /// Room for more bytes.
    WindowUpdate {
        /// Of the stream; 0 for all of them together.
        id: u32,
        /// How many.
        delta: u32,
    },
}

/// Makes bytes of frames.
pub struct Encoder(Packer);

impl Default for Encoder {
    fn default() -> Self {
        Encoder(Packer::new())
    }
}

impl Encoder {
    /// Appends a frame's bytes.
    pub fn encode(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), Malformed> {
        match frame {
            Frame::SynStream { id, fin, headers } => {
                let block = self.0.pack(headers)?;
                head(out, 1, *fin, 10 + block.len());
                out.put_u32(*id);
                out.put_u32(0);
                out.put_u16(0);
                out.put_slice(&block);
            }
            Frame::SynReply { id, fin, headers } => {
                self.with_headers(2, *id, *fin, headers, out)?
            }
            Frame::Headers { id, fin, headers } => self.with_headers(8, *id, *fin, headers, out)?,
            Frame::Data { id, fin, bytes } => {
                out.put_u32(*id);
                out.put_u32(flags_and_length(*fin, bytes.len()));
                out.put_slice(bytes);
            }
            Frame::RstStream { id, reset } => two(out, 3, *id, reset.0),
            Frame::Settings { initial_window } => {
                head(out, 4, false, 4 + 8 * usize::from(initial_window.is_some()));
                out.put_u32(u32::from(initial_window.is_some()));
                if let Some(size) = initial_window {
                    out.put_u32(INITIAL_WINDOW_SIZE);
                    out.put_u32(*size);
                }
            }
            Frame::Ping { id } => {
                head(out, 6, false, 4);
                out.put_u32(*id);
            }
            Frame::GoAway { last } => two(out, 7, *last, 0),
            Frame::WindowUpdate { id, delta } => two(out, 9, *id, *delta),
        }
        Ok(())
    }

    fn with_headers(
        &mut self,
        kind: u16,
        id: u32,
        fin: bool,
        headers: &Headers,
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let block = self.0.pack(headers)?;
        head(out, kind, fin, 4 + block.len());
        out.put_u32(id);
        out.put_slice(&block);
        Ok(())
    }
}

fn head(out: &mut BytesMut, kind: u16, fin: bool, length: usize) {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    out.put_u32(flags_and_length(fin, length));
}

fn two(out: &mut BytesMut, kind: u16, first: u32, second: u32) {
    head(out, kind, false, 8);
    out.put_u32(first);
    out.put_u32(second);
}

fn flags_and_length(fin: bool, length: usize) -> u32 {
    debug_assert!(length < 1 << 24, "a frame has 24 bits for its length");
    (u32::from(fin) << 24) | (length as u32 & 0x00ff_ffff)
}

/// Makes frames of bytes.
pub struct Decoder {
    unpacker: Unpacker,
    bytes: BytesMut,
    /// What of a data frame is still to come.
    data: Option<Rest>,
}

#[derive(Clone, Copy)]
struct Rest {
    id: u32,
    fin: bool,
    left: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            unpacker: Unpacker::new(),
            bytes: BytesMut::new(),
            data: None,
        }
    }
}

impl Decoder {
    /// Where bytes are to be put.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// The next frame, or the next piece of one with data. Frames that nobody
    /// knows are left out.
    pub fn decode(&mut self) -> Result<Option<Frame>, Malformed> {
        loop {
            if let Some(rest) = self.data {
                return Ok(self.piece(rest));
            }
            let Some(head) = self.bytes.first_chunk::<8>().copied() else {
                return Ok(None);
            };
            let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let flags = head[4];
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            if word & !ID == 0 {
                self.bytes.advance(8);
                let fin = flags & FIN != 0;
                let (id, left) = (word, length);
                self.data = Some(Rest { id, fin, left });
                continue;
            }
            if (word >> 16) & 0x7fff != u32::from(VERSION) {
                return Err(Malformed("another version is spoken"));
            }
            if length > CONTROL_MAX {
                return Err(Malformed("a control frame is too large"));
            }
            if self.bytes.len() < 8 + length {
                return Ok(None);
            }
            self.bytes.advance(8);
            let body = self.bytes.split_to(length).freeze();
            if let Some(frame) = self.control((word & 0xffff) as u16, flags & FIN != 0, body)? {
                return Ok(Some(frame));
            }
        }
    }

    fn piece(&mut self, rest: Rest) -> Option<Frame> {
        if self.bytes.is_empty() && rest.left > 0 {
            return None;
        }
        let length = rest.left.min(self.bytes.len());
        let left = rest.left - length;
        self.data = (left > 0).then_some(Rest { left, ..rest });
        Some(Frame::Data {
            id: rest.id,
            fin: rest.fin && left == 0,
            bytes: self.bytes.split_to(length).freeze(),
        })
    }

    fn control(
        &mut self,
        kind: u16,
        fin: bool,
        mut body: Bytes,
    ) -> Result<Option<Frame>, Malformed> {
        let frame = match kind {
            1 => {
                let id = number(&mut body)? & ID;
                // The associated stream, priority and slot mean nothing here.
                let _ = number(&mut body)?;
                let _ = body.try_get_u16().map_err(|_| SHORT)?;
                let headers = self.unpacker.unpack(&body)?;
                Frame::SynStream { id, fin, headers }
            }
            2 => {
                let id = number(&mut body)? & ID;
                let headers = self.unpacker.unpack(&body)?;
                Frame::SynReply { id, fin, headers }
            }
            3 => Frame::RstStream {
                id: number(&mut body)? & ID,
                reset: Reset(number(&mut body)?),
            },
            4 => Frame::Settings {
                initial_window: initial_window(&mut body)?,
            },
            6 => Frame::Ping {
                id: number(&mut body)?,
            },
            7 => Frame::GoAway {
                last: number(&mut body)? & ID,
            },
            8 => {
                let id = number(&mut body)? & ID;
                let headers = self.unpacker.unpack(&body)?;
                Frame::Headers { id, fin, headers }
            }
            9 => Frame::WindowUpdate {
                id: number(&mut body)? & ID,
                delta: number(&mut body)? & ID,
            },
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }
}

const SHORT: Malformed = Malformed("a frame ends early");

fn number(body: &mut Bytes) -> Result<u32, Malformed> {
    body.try_get_u32().map_err(|_| SHORT)
}

fn initial_window(body: &mut Bytes) -> Result<Option<u32>, Malformed> {
    let mut found = None;
    for _ in 0..number(body)? {
        let (id, value) = (number(body)? & 0x00ff_ffff, number(body)?);
        if id == INITIAL_WINDOW_SIZE {
            found = Some(value & ID);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Frame> {
        let headers = Headers::default().with("streamtype", "stdin");
        let (id, fin) = (5, true);
        let bytes = Bytes::from_static(b"hello");
        vec![
            Frame::SynStream {
                id,
                fin,
                headers: headers.clone(),
            },
            Frame::SynReply {
                id,
                fin: false,
                headers: Headers::default(),
            },
            Frame::Headers { id, fin, headers },
            Frame::Data { id, fin, bytes },
            Frame::RstStream {
                id,
                reset: Reset::CANCEL,
            },
            Frame::Settings {
                initial_window: Some(1 << 20),
            },
            Frame::Settings {
                initial_window: None,
            },
            Frame::Ping { id: 1 },
            Frame::GoAway { last: 9 },
            Frame::WindowUpdate { id: 0, delta: 7 },
            Frame::Data {
                id,
                fin,
                bytes: Bytes::new(),
            },
        ]
    }

    #[test]
    fn frames_survive_the_wire() {
        let mut wire = BytesMut::new();
        let mut encoder = Encoder::default();
        for frame in all() {
            encoder.encode(&frame, &mut wire).unwrap();
        }
        let mut decoder = Decoder::default();
        decoder.buffer().put_slice(&wire);
        for frame in all() {
            assert_eq!(decoder.decode(), Ok(Some(frame)));
        }
        assert_eq!(decoder.decode(), Ok(None));
    }

    #[test]
    fn frames_come_in_pieces() {
        let mut wire = BytesMut::new();
        let mut encoder = Encoder::default();
        for frame in all() {
            encoder.encode(&frame, &mut wire).unwrap();
        }
        let mut decoder = Decoder::default();
        let mut said = Vec::new();
        let mut frames = 0;
        for byte in wire {
            decoder.buffer().put_u8(byte);
            while let Some(frame) = decoder.decode().unwrap() {
                frames += 1;
                if let Frame::Data { bytes, fin, .. } = frame {
                    said.extend_from_slice(&bytes);
                    frames -= u32::from(!fin);
                }
            }
        }
        assert_eq!((said.as_slice(), frames), (&b"hello"[..], 11));
    }

    #[test]
    fn nonsense_is_refused() {
        for (bytes, refused) in [
            (&b"\x80\x02\0\x01\0\0\0\0"[..], true),
            (b"\x80\x03\0\x06\0\0\0\x02\0\0", true),
            (b"\x80\x03\0\x01\0\xff\xff\xff", true),
            (b"\x80\x03\0\x63\0\0\0\x01x", false),
            (b"GET / HTTP/1.1", false),
        ] {
            let mut decoder = Decoder::default();
            decoder.buffer().put_slice(bytes);
            let mut outcome = decoder.decode();
            while let Ok(Some(_)) = outcome {
                outcome = decoder.decode();
            }
            assert_eq!(outcome.is_err(), refused, "{bytes:?}");
        }
    }
}
