//! One connection: requests are queued, sent together, and their answers told
//! piece by piece.

use super::error::Error;
use super::frame::{self, Frame, PAYLOAD_MAX, flag, kind};
use super::hpack::Heads;
use super::request::Request;
use crate::target::Target;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS_INITIAL_WINDOW_SIZE.
const SETTING_WINDOW: u16 = 4;
const WINDOW_DEFAULT: i64 = 65_535;
const WINDOW_MAX: u32 = i32::MAX as u32;
/// How much of the connection's window may be used up before it is given back.
const WINDOW_SLACK: u32 = 1 << 29;
const INPUT: usize = 256 * 1024;
/// Bytes that wait for the socket before it is written to without being asked.
const OUTPUT: usize = 64 * 1024;
/// How often a request is tried that may meet a conflict.
const TRIES: usize = 10;

/// A connection to an API server.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    heads: Heads,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    next_stream: u32,
    /// What the server still takes on this connection.
    window: i64,
    /// Bodies that wait for the server's window.
    held: VecDeque<(u32, Vec<u8>)>,
    /// What was taken of our own window.
    taken: u32,
}

/// Part of an answer.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The head; `end` when there is no body.
    Head {
        /// Of which request.
        stream: u32,
        /// Whether nothing follows.
        end: bool,
    },
    /// A piece of the body.
    Data {
        /// Of which request.
        stream: u32,
        /// The bytes.
        bytes: &'a [u8],
        /// Whether nothing follows.
        end: bool,
    },
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let stream = target.connect().await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Error::NotHttp2);
        }
        let mut connection = Connection {
            stream,
            heads: Heads::new(&target.authority, target.bearer.as_deref()),
            input: vec![0; INPUT],
            filled: 0,
            output: PREFACE.to_vec(),
            next_stream: 1,
            window: WINDOW_DEFAULT,
            held: VecDeque::new(),
            taken: 0,
        };
        let mut settings = SETTING_WINDOW.to_be_bytes().to_vec();
        settings.extend_from_slice(&WINDOW_MAX.to_be_bytes());
        frame::write(&mut connection.output, kind::SETTINGS, 0, 0, &settings);
        let more = WINDOW_MAX - WINDOW_DEFAULT as u32;
        give_back(&mut connection.output, more);
        connection.flush().await?;
        Ok(connection)
    }

    /// Queues a request; returns its stream.
    pub fn request(&mut self, request: &Request) -> u32 {
        debug_assert!(request.body.len() <= PAYLOAD_MAX);
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut head = Vec::with_capacity(128);
        self.heads.write(request, &mut head);
        let end = match request.body.is_empty() {
            true => flag::END_STREAM,
            false => 0,
        };
        let flags = flag::END_HEADERS | end;
        frame::write(&mut self.output, kind::HEADERS, flags, stream, &head);
        if end == 0 {
            self.send_body(stream, &request.body);
        }
        stream
    }

    /// Sends what was queued.
    pub async fn flush(&mut self) -> Result<(), Error> {
        if !self.output.is_empty() {
            self.stream
                .write_all(&self.output)
                .await
                .map_err(Error::Broken)?;
            self.output.clear();
        }
        self.stream.flush().await.map_err(Error::Broken)
    }

    /// Whether so much is queued that it should be sent now.
    pub fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT
    }

    /// Sends what was queued, waits for something to arrive, and tells it.
    pub async fn receive(&mut self, mut tell: impl FnMut(Piece<'_>)) -> Result<(), Error> {
        self.flush().await?;
        let free = self.input.get_mut(self.filled..).unwrap_or_default();
        let read = self.stream.read(free).await.map_err(Error::Broken)?;
        if read == 0 {
            return Err(Error::Closed);
        }
        let input = std::mem::take(&mut self.input);
        let filled = self.filled + read;
        let outcome = self.frames(input.get(..filled).unwrap_or_default(), &mut tell);
        self.input = input;
        let done = outcome?;
        self.input.copy_within(done..filled, 0);
        self.filled = filled - done;
        Ok(())
    }

    /// Sends one request and waits for its whole answer.
    pub async fn call(&mut self, request: &Request) -> Result<Vec<u8>, Error> {
        let body = self.fetch(request).await?;
        match is_failure(&body) {
            true => Err(unexpected(request, &body)),
            false => Ok(body),
        }
    }

    /// The same, several times when others write at the same time.
    pub async fn insist(&mut self, request: &Request) -> Result<Vec<u8>, Error> {
        for _ in 0..TRIES {
            if let Ok(body) = self.call(request).await {
                return Ok(body);
            }
        }
        self.call(request).await
    }

    /// The same, whatever the answer says.
    pub async fn fetch(&mut self, request: &Request) -> Result<Vec<u8>, Error> {
        let mine = self.request(request);
        let (mut body, mut done) = (Vec::new(), false);
        while !done {
            self.receive(|piece| match piece {
                Piece::Head { stream, end } if stream == mine => done |= end,
                Piece::Data { stream, bytes, end } if stream == mine => {
                    body.extend_from_slice(bytes);
                    done |= end;
                }
                _ => {}
            })
            .await?;
        }
        Ok(body)
    }

    fn send_body(&mut self, stream: u32, body: &[u8]) {
        if self.held.is_empty() && self.window >= body.len() as i64 {
            self.window -= body.len() as i64;
            frame::write(&mut self.output, kind::DATA, flag::END_STREAM, stream, body);
        } else {
            self.held.push_back((stream, body.to_vec()));
        }
    }

    fn send_held(&mut self) {
        while let Some((_, body)) = self.held.front()
            && self.window >= body.len() as i64
            && let Some((stream, body)) = self.held.pop_front()
        {
            self.window -= body.len() as i64;
            frame::write(
                &mut self.output,
                kind::DATA,
                flag::END_STREAM,
                stream,
                &body,
            );
        }
    }

    /// Works through whole frames; returns how many bytes they were.
    fn frames(&mut self, bytes: &[u8], tell: &mut impl FnMut(Piece<'_>)) -> Result<usize, Error> {
        let mut at = 0;
        while let Some(frame) = bytes.get(at..).and_then(Frame::parse) {
            at += frame::HEAD + frame.payload.len();
            self.frame(&frame, tell)?;
        }
        Ok(at)
    }

    fn frame(&mut self, frame: &Frame<'_>, tell: &mut impl FnMut(Piece<'_>)) -> Result<(), Error> {
        let (stream, end) = (frame.stream, frame.has(flag::END_STREAM));
        match frame.kind {
            kind::DATA => {
                self.take(frame.payload.len() as u32);
                let bytes = frame.content();
                tell(Piece::Data { stream, bytes, end });
            }
            kind::HEADERS => tell(Piece::Head { stream, end }),
            kind::SETTINGS if !frame.has(flag::ACK) => {
                frame::write(&mut self.output, kind::SETTINGS, flag::ACK, 0, &[]);
            }
            kind::PING if !frame.has(flag::ACK) => {
                frame::write(&mut self.output, kind::PING, flag::ACK, 0, frame.payload);
            }
            kind::WINDOW_UPDATE if stream == 0 => {
                self.window += i64::from(frame.number(0));
                self.send_held();
            }
            kind::RST_STREAM => return Err(ended("RST_STREAM", frame.number(0))),
            kind::GOAWAY => return Err(ended("GOAWAY", frame.number(4))),
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, bytes: u32) {
        self.taken += bytes;
        if self.taken > WINDOW_SLACK {
            give_back(&mut self.output, self.taken);
            self.taken = 0;
        }
    }
}

fn give_back(out: &mut Vec<u8>, bytes: u32) {
    frame::write(out, kind::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes());
}

fn ended(what: &'static str, code: u32) -> Error {
    Error::Ended { what, code }
}

/// Whether a body is a Status that tells of a failure.
pub fn is_failure(body: &[u8]) -> bool {
    let beginning = body.get(..body.len().min(400)).unwrap_or_default();
    let text = String::from_utf8_lossy(beginning);
    text.contains("\"kind\":\"Status\"") && text.contains("\"Failure\"")
}

/// An answer that is not the right one.
pub fn unexpected(request: &Request, body: &[u8]) -> Error {
    let beginning = body.get(..body.len().min(400)).unwrap_or_default();
    Error::Unexpected {
        request: request.to_string(),
        body: String::from_utf8_lossy(beginning).into_owned(),
    }
}
