//! exec and attach over SPDY: a stream each for input, outputs, sizes and the
//! outcome, which the client opens.
//!
//! Version 1 and 2 have no sizes; before version 4 the outcome is plain words.
//! Follows kubelet/pkg/cri/streaming/remotecommand/{httpstream,exec}.go.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use container::runtime::{Streams, TerminalSize};
use serde_json::Value;
use spdy::{Receiver, Reset, Role, Sender, Session, session};
use stdx::Clock;
use streams::protocol::{V1, V2, V4};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::channels::{Ends, PIECE, Wants, size_of};

/// How long a client may take to open its streams.
const OPEN: Duration = Duration::from_secs(30);
/// The largest size that is read.
const SIZE_MAX: usize = 4096;

/// The client's streams.
#[derive(Default)]
struct Opened {
    error: Option<Sender>,
    stdin: Option<(Sender, Receiver)>,
    stdout: Option<Sender>,
    stderr: Option<Sender>,
    resize: Option<(Sender, Receiver)>,
}

/// Joins a client's connection to `work`, whose outcome ends the conversation.
pub(super) async fn converse<T, W, F>(
    io: T,
    protocol: &'static str,
    wants: Wants,
    streams: (Streams, Ends),
    clock: Clock,
    work: W,
) where
    T: AsyncRead + AsyncWrite,
    W: FnOnce(Streams) -> F,
    F: Future<Output = Value>,
{
    let (mut session, driver) = session(io, Role::Server, clock.clone());
    let conversation = async {
        let opening = open(&mut session, protocol, wants);
        match clock.timeout(OPEN, opening).await {
            Ok(Some(opened)) => {
                tokio::select! {
                    () = talk(opened, protocol, streams, work) => {}
                    () = refuse_more(&mut session) => return,
                }
            }
            Ok(None) => return,
            Err(_) => tracing::debug!("a client did not open its streams in time"),
        }
        session.farewell().await;
        refuse_more(&mut session).await;
    };
    tokio::select! {
        () = conversation => {}
        () = driver => {}
    }
}

/// Waits for the streams that this conversation has.
async fn open(session: &mut Session, protocol: &str, wants: Wants) -> Option<Opened> {
    let mut opened = Opened::default();
    while !opened.is_complete(protocol, wants) {
        let stream = session.accept().await?;
        let kind = stream.headers.get("streamtype").unwrap_or_default();
        let kind = kind.to_owned();
        let is_known = matches!(
            kind.as_str(),
            "error" | "stdin" | "stdout" | "stderr" | "resize"
        );
        if !is_known {
            tracing::debug!(kind, "a stream of an unknown type");
            stream.refuse(Reset::REFUSED);
            continue;
        }
        let (sender, receiver) = stream.reply().await.ok()?;
        match kind.as_str() {
            "error" => opened.error = Some(sender),
            "stdin" => opened.stdin = Some((sender, receiver)),
            "stdout" => opened.stdout = Some(sender),
            "stderr" => opened.stderr = Some(sender),
            _ => opened.resize = Some((sender, receiver)),
        }
    }
    Some(opened)
}

impl Opened {
    fn is_complete(&self, protocol: &str, wants: Wants) -> bool {
        let has_sizes = wants.tty && !matches!(protocol, V1 | V2);
        self.error.is_some()
            && self.stdin.is_some() >= wants.stdin
            && self.stdout.is_some() >= wants.stdout
            && self.stderr.is_some() >= (wants.stderr && !wants.tty)
            && self.resize.is_some() >= has_sizes
    }
}

/// No further streams belong to this conversation; ends with the connection.
async fn refuse_more(session: &mut Session) {
    while let Some(stream) = session.accept().await {
        stream.refuse(Reset::REFUSED);
    }
}

async fn talk<W, F>(opened: Opened, protocol: &str, streams: (Streams, Ends), work: W)
where
    W: FnOnce(Streams) -> F,
    F: Future<Output = Value>,
{
    let (streams, ends) = streams;
    let (stdin, from_stdin) = opened.stdin.unzip();
    let (resize, from_resize) = opened.resize.unzip();
    let feeding = async {
        tokio::join!(
            feed(from_stdin, ends.stdin),
            read_sizes(from_resize, ends.resize)
        );
    };
    let delivering = async {
        let (outcome, (), ()) = tokio::join!(
            work(streams),
            pump(ends.stdout, opened.stdout),
            pump(ends.stderr, opened.stderr)
        );
        outcome
    };
    tokio::pin!(feeding);
    tokio::pin!(delivering);
    let outcome = tokio::select! {
        outcome = &mut delivering => outcome,
        () = &mut feeding => delivering.await,
    };
    if let Some(error) = opened.error {
        if let Some(bytes) = tell(protocol, &outcome) {
            // Whoever is gone does not hear it.
            let _ = error.send(bytes).await;
        }
        error.finish().await;
    }
    for ours in [stdin, resize].into_iter().flatten() {
        ours.finish().await;
    }
}

fn tell(protocol: &str, outcome: &Value) -> Option<Bytes> {
    if protocol == V4 {
        return Some(outcome.to_string().into());
    }
    let message = outcome.get("message")?.as_str()?;
    (outcome["status"] != "Success").then(|| message.to_owned().into())
}

/// What the client says goes to the command until either does not care any more.
async fn feed(from: Option<Receiver>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    while let Some(bytes) = from.recv().await {
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    drop(to);
    while from.recv().await.is_some() {}
}

async fn read_sizes(from: Option<Receiver>, to: mpsc::Sender<TerminalSize>) {
    let Some(mut from) = from else { return };
    let mut text = BytesMut::new();
    while let Some(bytes) = from.recv().await {
        text.extend_from_slice(&bytes);
        let mut values = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
        let mut read = 0;
        while let Some(Ok(value)) = values.next() {
            read = values.byte_offset();
            if let Some(size) = size_of(&value) {
                // A size that nobody waits for is of no interest.
                let _ = to.try_send(size);
            }
        }
        drop(text.split_to(read));
        if text.len() > SIZE_MAX {
            text.clear();
        }
    }
}

/// Sends what a command yields until its end.
async fn pump(mut from: impl AsyncRead + Unpin, to: Option<Sender>) {
    let mut bytes = BytesMut::with_capacity(PIECE);
    while let Ok(1..) = from.read_buf(&mut bytes).await {
        if let Some(to) = &to
            && to.send(bytes.split().freeze()).await.is_err()
        {
            return;
        }
        bytes.clear();
        bytes.reserve(PIECE);
    }
    if let Some(to) = to {
        to.finish().await;
    }
}
