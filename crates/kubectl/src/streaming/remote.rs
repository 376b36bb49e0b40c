//! A command in a container, joined to local streams, over the channels of a WebSocket.
//!
//! Follows staging/src/k8s.io/client-go/tools/remotecommand (websocket.go, v5.go).

use super::detach::Keys;
use super::dial::{Raw, Spoken, Wire, dial};
use super::terminal::{Size, Sizes};
use super::{outcome, spdy_remote};
use crate::api::Api;
use crate::error::{Error, Result, said};
use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use std::io::ErrorKind::UnexpectedEof;
use std::time::Duration;
use streams::channel::{CLOSE, OUTCOME, RESIZE, STDERR, STDIN, STDOUT, frame, split};
use streams::{Message, SocketError, WebSocketStream, is_farewell, protocol};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// How often the server is asked whether it is there, and how long it may be silent.
const ASK_EVERY: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(61);
const PIECE: usize = 32 << 10;

const SPOKEN: Spoken = Spoken {
    // Servers that know no more than version 4 over a WebSocket cannot be told where the input
    // ends; they are spoken with over SPDY.
    web_socket: protocol::V5,
    spdy: &[protocol::V4, protocol::V3, protocol::V2, protocol::V1],
};

/// Where a command's output goes.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// The local ends of a command's streams.
#[derive(Default)]
pub struct Ends {
    /// What the command reads.
    pub stdin: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Where what it writes goes.
    pub stdout: Option<Output>,
    /// Where its complaints go.
    pub stderr: Option<Output>,
    /// The terminal's sizes, if there is one.
    pub sizes: Option<Sizes>,
    /// The keys that end the conversation, but not the command.
    pub detach: Option<Keys>,
}

/// Runs until the command has ended. Its exit code, if it is not zero, is the error's.
pub async fn converse(api: &Api, path: &str, ends: Ends) -> Result {
    match dial(api, path, &SPOKEN).await? {
        Wire::Socket(socket) => talk(*socket, ends).await,
        Wire::Spdy(raw, protocol) => spdy_remote::talk(raw, &protocol, ends).await,
    }
}

async fn talk(socket: WebSocketStream<Box<dyn Raw>>, ends: Ends) -> Result {
    let (sink, source) = socket.split();
    let (sender, messages) = mpsc::channel(4);
    let feeding = feed(ends.stdin, ends.detach, sender.clone());
    let sizing = tell_sizes(ends.sizes, sender);
    let reading = read(source, ends.stdout, ends.stderr);
    let writing = write(sink, messages);
    let telling = async { tokio::join!(sizing, writing) };
    tokio::pin!(telling);
    let fed = async {
        match feeding.await {
            Fed::Detached => {}
            Fed::All => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = reading => outcome,
        // What ends the writing is found out by the reading, which knows why.
        _ = async { telling.await; std::future::pending::<()>().await } => Ok(()),
        () = fed => Ok(()),
    }
}

/// How the input ended.
pub(super) enum Fed {
    /// There is no more of it.
    All,
    /// The user has gone, and the command stays.
    Detached,
}

/// The next piece of input, without the keys that detach.
pub(super) async fn piece(
    stdin: &mut (dyn AsyncRead + Send + Unpin),
    detach: &mut Option<Keys>,
) -> std::result::Result<Bytes, Fed> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match stdin.read(&mut piece).await {
            Ok(0) | Err(_) => return Err(Fed::All),
            Ok(length) => length,
        };
        let Some(keys) = detach else {
            piece.truncate(length);
            return Ok(piece.into());
        };
        let typed = keys.pass(&piece[..length]).ok_or(Fed::Detached)?;
        if !typed.is_empty() {
            return Ok(typed.into());
        }
    }
}

async fn feed(
    stdin: Option<Box<dyn AsyncRead + Send + Unpin>>,
    mut detach: Option<Keys>,
    to: mpsc::Sender<Message>,
) -> Fed {
    let Some(mut stdin) = stdin else {
        return Fed::All;
    };
    let fed = loop {
        match piece(&mut *stdin, &mut detach).await {
            Ok(bytes) => {
                if to.send(frame(STDIN, &bytes)).await.is_err() {
                    break Fed::All;
                }
            }
            Err(fed) => break fed,
        }
    };
    // Whoever is gone needs no end.
    let _ = to.send(frame(CLOSE, &[STDIN])).await;
    fed
}

/// A size as the server reads it.
pub(super) fn size_text(size: Size) -> String {
    format!("{{\"Width\":{},\"Height\":{}}}\n", size.width, size.height)
}

async fn tell_sizes(sizes: Option<Sizes>, to: mpsc::Sender<Message>) {
    let Some(mut sizes) = sizes else { return };
    while let Some(size) = sizes.next().await {
        let message = frame(RESIZE, size_text(size).as_bytes());
        if to.send(message).await.is_err() {
            return;
        }
    }
}

async fn write(
    mut sink: impl Sink<Message, Error = SocketError> + Unpin,
    mut messages: mpsc::Receiver<Message>,
) {
    let mut ask = tokio::time::interval(ASK_EVERY);
    let mut has_more = true;
    loop {
        let message = tokio::select! {
            message = messages.recv(), if has_more => match message {
                Some(message) => message,
                None => {
                    has_more = false;
                    continue;
                }
            },
            _ = ask.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

async fn read(
    source: impl Stream<Item = std::result::Result<Message, SocketError>> + Unpin,
    mut stdout: Option<Output>,
    mut stderr: Option<Output>,
) -> Result {
    let outcome = hear(source, &mut stdout, &mut stderr).await;
    // However it ended, what was said before stands before it.
    let (out, err) = tokio::join!(finish(&mut stdout), finish(&mut stderr));
    outcome.and(out).and(err)
}

async fn hear(
    mut source: impl Stream<Item = std::result::Result<Message, SocketError>> + Unpin,
    stdout: &mut Option<Output>,
    stderr: &mut Option<Output>,
) -> Result {
    let mut told = Vec::new();
    loop {
        let message = match tokio::time::timeout(SILENCE_MAX, source.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(SocketError::Io(error)))) if error.kind() != UnexpectedEof => {
                return broken(&error.to_string());
            }
            // However it is that nobody is there any more.
            Ok(Some(Err(_)) | None) => {
                return broken("websocket: close 1006 (abnormal closure): unexpected EOF");
            }
            Err(_) => return broken("i/o timeout"),
        };
        if is_farewell(&message) {
            return outcome::read(&told);
        }
        if let Message::Close(frame) = message {
            let code = frame.map_or(1005, |frame| u16::from(frame.code));
            return broken(&format!("websocket: close {code}"));
        }
        match split(message) {
            Some((STDOUT, bytes)) => deliver(stdout, &bytes).await?,
            Some((STDERR, bytes)) => deliver(stderr, &bytes).await?,
            Some((OUTCOME, bytes)) => told.extend_from_slice(&bytes),
            _ => {}
        }
    }
}

/// Nobody who reads is left: the end, as for every other command.
pub(super) async fn deliver(to: &mut Option<Output>, bytes: &[u8]) -> Result {
    let Some(to) = to else { return Ok(()) };
    to.write_all(bytes).await.map_err(|_| Error::Exit(1))
}

/// All that was delivered has arrived.
pub(super) async fn finish(to: &mut Option<Output>) -> Result {
    let Some(to) = to else { return Ok(()) };
    to.flush().await.map_err(|_| Error::Exit(1))
}

fn broken(why: &str) -> Result {
    said(format!(
        "error reading from error stream: next reader: {why}"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};
    use streams::{farewell, handshake};
    use tokio::io::duplex;

    /// An output that is looked at afterwards.
    #[derive(Clone, Default)]
    pub(in crate::streaming) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(in crate::streaming) fn take(&self) -> Vec<u8> {
            std::mem::take(&mut *self.0.lock().expect("no one else"))
        }
    }

    impl AsyncWrite for Kept {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            self.0.lock().expect("no one else").extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A server that echoes its input, then says how it went.
    async fn serve(io: tokio::io::DuplexStream, last: Option<Message>) {
        let mut socket = handshake::server(io).await;
        while let Some(Ok(message)) = socket.next().await {
            match split(message) {
                Some((STDIN, bytes)) => {
                    socket.send(frame(STDOUT, &bytes)).await.expect("a client");
                }
                Some((RESIZE, bytes)) => {
                    socket.send(frame(STDERR, &bytes)).await.expect("a client");
                }
                Some((CLOSE, _)) => break,
                _ => {}
            }
        }
        let outcome = br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        socket
            .send(frame(OUTCOME, outcome))
            .await
            .expect("a client");
        if let Some(last) = last {
            socket.send(last).await.expect("a client");
        }
    }

    async fn converse_with(last: Option<Message>) -> (String, Vec<u8>, String) {
        let (here, there) = duplex(1 << 10);
        let server = tokio::spawn(serve(there, last));
        let (out, err) = (Kept::default(), Kept::default());
        let size = Size {
            width: 80,
            height: 24,
        };
        let ends = Ends {
            stdin: Some(Box::new(std::io::Cursor::new(vec![7; 300_000]))),
            stdout: Some(Box::new(out.clone())),
            stderr: Some(Box::new(err.clone())),
            sizes: Some(Sizes::beginning_with([size])),
            detach: None,
        };
        let socket = handshake::client(Box::new(here) as Box<dyn Raw>).await;
        let outcome = talk(socket, ends).await.expect_err("an exit code");
        server.await.expect("a server that ends");
        let sizes = String::from_utf8(err.take()).expect("text");
        (outcome.to_string(), out.take(), sizes)
    }

    #[tokio::test]
    async fn input_is_fed_and_the_outcome_is_told() {
        let (outcome, out, sizes) = converse_with(Some(farewell())).await;
        assert_eq!(outcome, "command terminated with exit code 7");
        assert_eq!(out.len(), 300_000);
        assert_eq!(sizes, "{\"Width\":80,\"Height\":24}\n");
    }

    #[tokio::test]
    async fn a_server_that_goes_without_a_word_is_an_error() {
        let (outcome, ..) = converse_with(None).await;
        assert_eq!(
            outcome,
            "error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF"
        );
    }
}
