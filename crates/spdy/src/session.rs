//! A connection that speaks SPDY, as streams with halves.
//!
//! [`session`] gives the handle and a future that moves the bytes; it must be
//! driven for anything to happen, and dropping it cuts everything off. A reader
//! that does not read stops its stream, or the connection of a peer that keeps no
//! windows, and nothing else; a peer that is gone
//! is noticed, at the latest when it is asked whether it is there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stdx::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};

use crate::frame::{Decoder, Encoder, Frame, Reset};
use crate::headers::Headers;
use crate::state::{STREAMS_MAX, State};

/// How often the peer is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// How long a peer may take to read what it was sent before a farewell.
const LINGER: Duration = Duration::from_secs(300);
/// Bytes of one read and of one frame of data.
const PIECE: usize = 32 << 10;
/// Frames that wait to be written, and small answers besides.
const WRITES: usize = 8;
const ANSWERS: usize = 4096;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens odd streams.
    Client,
    /// Opens even streams.
    Server,
}

/// The stream or the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("send on a SPDY stream: it is closed")]
pub struct Closed;

/// A session's handle.
pub struct Session {
    opened: mpsc::Receiver<Stream>,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Windows or states of streams have changed.
    changed: Notify,
    /// A reader has taken something, or has gone.
    drained: Notify,
    writes: mpsc::Sender<Frame>,
    answers: mpsc::Sender<Frame>,
}

/// A stream, both ways.
pub struct Stream {
    /// What its opener says of it.
    pub headers: Headers,
    /// Its number.
    pub id: u32,
    sender: Sender,
    receiver: Receiver,
}

/// Our half of a stream.
#[derive(Clone)]
pub struct Sender {
    id: u32,
    shared: Arc<Shared>,
}

/// The peer's half of a stream.
pub struct Receiver {
    id: u32,
    inbox: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
}

/// Speaks SPDY over a connection.
pub fn session<T: AsyncRead + AsyncWrite>(
    io: T,
    role: Role,
    clock: Clock,
) -> (Session, impl Future<Output = ()>) {
    let (writes, to_write) = mpsc::channel(WRITES);
    let (answers, to_answer) = mpsc::channel(ANSWERS);
    let (opened_sender, opened) = mpsc::channel(1);
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(match role {
            Role::Client => 1,
            Role::Server => 2,
        })),
        changed: Notify::new(),
        drained: Notify::new(),
        writes,
        answers,
    });
    let session = Session {
        opened,
        shared: Arc::clone(&shared),
    };
    let driver = async move {
        let (reader, writer) = tokio::io::split(io);
        let reading = read(reader, role, &shared, opened_sender);
        let writing = write(writer, role, to_write, to_answer, clock);
        let outcome = tokio::select! {
            outcome = reading => outcome,
            outcome = writing => outcome,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a SPDY session broke");
        }
        shared.state().close();
        shared.changed.notify_waiters();
    };
    (session, driver)
}

impl Session {
    /// The next stream that the peer opens; it waits for a reply or a reset.
    /// `None` at the end of the connection.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.opened.recv().await
    }

    /// Opens a stream.
    pub async fn open(&self, headers: Headers) -> Result<Stream, Closed> {
        let (inbox, bytes) = mpsc::unbounded_channel();
        let id = {
            let mut state = self.shared.state();
            if state.is_closed {
                return Err(Closed);
            }
            let id = state.next_id;
            state.next_id += 2;
            state.add(id, Some(inbox));
            id
        };
        let opening = Frame::SynStream {
            id,
            fin: false,
            headers: headers.clone(),
        };
        let sent = self.shared.writes.send(opening).await;
        sent.map_err(|_| Closed)?;
        Ok(Stream::new(id, headers, bytes, &self.shared))
    }

    /// Says that nothing follows, after all that was sent.
    pub async fn farewell(&self) {
        let last = self.shared.state().last_heard;
        // Whoever is gone needs no farewell.
        let _ = self.shared.writes.send(Frame::GoAway { last }).await;
    }
}

impl Stream {
    fn new(
        id: u32,
        headers: Headers,
        inbox: mpsc::UnboundedReceiver<Bytes>,
        shared: &Arc<Shared>,
    ) -> Self {
        let receiver = Receiver {
            id,
            inbox,
            shared: Arc::clone(shared),
        };
        let sender = Sender {
            id,
            shared: Arc::clone(shared),
        };
        Stream {
            headers,
            id,
            sender,
            receiver,
        }
    }

    /// Takes the stream that the peer has opened.
    pub async fn reply(self) -> Result<(Sender, Receiver), Closed> {
        let reply = Frame::SynReply {
            id: self.id,
            fin: false,
            headers: Headers::default(),
        };
        let sent = self.sender.shared.writes.send(reply).await;
        sent.map_err(|_| Closed)?;
        Ok(self.split())
    }

    /// The halves.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Does not take it.
    pub fn refuse(self, reset: Reset) {
        self.sender.reset(reset);
    }
}

impl Sender {
    /// Sends bytes, as far as the peer's windows allow.
    pub async fn send(&self, mut bytes: Bytes) -> Result<(), Closed> {
        while !bytes.is_empty() {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wanted = bytes.len().min(PIECE);
            let granted = self.shared.state().claim(self.id, wanted).ok_or(Closed)?;
            if granted == 0 {
                changed.await;
                continue;
            }
            let data = Frame::Data {
                id: self.id,
                fin: false,
                bytes: bytes.split_to(granted),
            };
            let sent = self.shared.writes.send(data).await;
            sent.map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Ends this half.
    pub async fn finish(&self) {
        if self.shared.state().finish(self.id) {
            let end = Frame::Data {
                id: self.id,
                fin: true,
                bytes: Bytes::new(),
            };
            // Whoever is gone sees the end anyhow.
            let _ = self.shared.writes.send(end).await;
        }
    }

    /// Cuts both halves off.
    pub fn reset(&self, reset: Reset) {
        if self.shared.state().streams.remove(&self.id).is_some() {
            self.shared.answer(Frame::RstStream { id: self.id, reset });
            self.shared.changed.notify_waiters();
        }
    }
}

impl Receiver {
    /// The next bytes; `None` at their end, or when the stream is cut off.
    pub async fn recv(&mut self) -> Option<Bytes> {
        let bytes = self.inbox.recv().await?;
        let delta = self.shared.state().consumed(self.id, bytes.len());
        self.shared.drained.notify_waiters();
        if let Some(delta) = delta {
            let id = self.id;
            self.shared.answer(Frame::WindowUpdate { id, delta });
        }
        Some(bytes)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.state().heard_all(self.id);
        self.shared.drained.notify_waiters();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Small answers never wait: a peer that asks thousands of times without
    /// reading is not answered any more.
    fn answer(&self, frame: Frame) {
        let _ = self.answers.try_send(frame);
    }
}

async fn read(
    mut from: impl AsyncRead + Unpin,
    role: Role,
    shared: &Arc<Shared>,
    opened: mpsc::Sender<Stream>,
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    loop {
        while let Some(frame) = decoder.decode().map_err(io::Error::other)? {
            heed(frame, role, shared, &opened).await;
        }
        decoder.buffer().reserve(PIECE);
        if from.read_buf(decoder.buffer()).await? == 0 {
            return Ok(());
        }
    }
}

async fn heed(frame: Frame, role: Role, shared: &Arc<Shared>, opened: &mpsc::Sender<Stream>) {
    match frame {
        Frame::SynStream { id, fin, headers } => {
            if let Some(stream) = admit(id, fin, headers, role, shared) {
                // Nobody waits for streams any more: its opener sees the end.
                let _ = opened.send(stream).await;
            }
        }
        Frame::SynReply { id, fin, .. } | Frame::Headers { id, fin, .. } => {
            if fin {
                shared.state().heard_all(id);
            }
        }
        Frame::Data { id, fin, bytes } => deliver(id, fin, bytes, shared).await,
        Frame::RstStream { id, .. } => {
            let _ = shared.state().streams.remove(&id);
            shared.changed.notify_waiters();
        }
        Frame::Settings { initial_window } => {
            if let Some(size) = initial_window {
                shared.state().begin_with(size);
                shared.changed.notify_waiters();
            }
        }
        Frame::WindowUpdate { id, delta } => {
            shared.state().allow(id, delta);
            shared.changed.notify_waiters();
        }
        Frame::Ping { id } => {
            let is_theirs = (id % 2 == 1) == (role == Role::Server);
            if is_theirs {
                shared.answer(Frame::Ping { id });
            }
        }
        Frame::GoAway { .. } => {}
    }
}

fn admit(id: u32, fin: bool, headers: Headers, role: Role, shared: &Arc<Shared>) -> Option<Stream> {
    let (inbox, bytes) = mpsc::unbounded_channel();
    let mut state = shared.state();
    let is_theirs = id != 0 && (id % 2 == 1) == (role == Role::Server);
    let reset = if !is_theirs || id <= state.last_heard {
        Some(Reset::PROTOCOL)
    } else if state.streams.len() >= STREAMS_MAX {
        Some(Reset::REFUSED)
    } else {
        None
    };
    if let Some(reset) = reset {
        drop(state);
        shared.answer(Frame::RstStream { id, reset });
        return None;
    }
    state.last_heard = id;
    state.add(id, (!fin).then_some(inbox));
    Some(Stream::new(id, headers, bytes, shared))
}

async fn deliver(id: u32, fin: bool, bytes: Bytes, shared: &Arc<Shared>) {
    let update = {
        let mut state = shared.state();
        let update = state.received(bytes.len());
        if !bytes.is_empty() {
            state.deliver(id, bytes);
        }
        if fin {
            state.heard_all(id);
        }
        update
    };
    if let Some(delta) = update {
        shared.answer(Frame::WindowUpdate { id: 0, delta });
    }
    loop {
        let drained = shared.drained.notified();
        tokio::pin!(drained);
        drained.as_mut().enable();
        if !shared.state().is_full(id) {
            return;
        }
        drained.await;
    }
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    role: Role,
    mut writes: mpsc::Receiver<Frame>,
    mut answers: mpsc::Receiver<Frame>,
    clock: Clock,
) -> io::Result<()> {
    let mut encoder = Encoder::default();
    let mut bytes = BytesMut::with_capacity(PIECE + 64);
    let mut ping = if role == Role::Client { 1 } else { 2 };
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = answers.recv() => frame,
            Some(frame) = writes.recv() => frame,
            () = clock.sleep(ASK_EVERY) => {
                ping += 2;
                Frame::Ping { id: ping }
            }
        };
        encoder
            .encode(&frame, &mut bytes)
            .map_err(io::Error::other)?;
        to.write_all(&bytes).await?;
        to.flush().await?;
        bytes.clear();
        if matches!(frame, Frame::GoAway { .. }) {
            // The peer hangs up when it has read everything; a client of Go drops
            // what it has not read when we do it first.
            clock.sleep(LINGER).await;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
