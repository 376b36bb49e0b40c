//! The channel protocol of exec and attach: the first byte of each message says
//! which stream it belongs to.
//!
//! Crate `streams` has the framing; this is the side that runs the command. Follows
//! kubelet/pkg/cri/streaming/remotecommand/websocket.go.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use container::runtime::{Streams, TerminalSize};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};
use stdx::{Clock, Importance};
use streams::channel::{CLOSE, OUTCOME, RESIZE, STDERR, STDIN, STDOUT, frame, split};
use streams::{Message, farewell, protocol};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::idle::{Idle, Watched};
use super::query::Query;
use super::upgrade::{Socket, Spoken, Wire, accept};
use super::{Answer, Server, spdy_streams};

/// The versions that are spoken. Over a WebSocket the best first.
const SPOKEN: Spoken = Spoken {
    web_socket: &[protocol::V5, protocol::V4],
    spdy: &[protocol::V4, protocol::V3, protocol::V2, protocol::V1],
};

/// How often a client is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// How long a client may take to hang up.
const LINGER: Duration = Duration::from_secs(60);

pub(super) const BUFFER: usize = 64 * 1024;
pub(super) const PIECE: usize = 32 * 1024;

/// Which streams the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Wants {
    pub(super) fn of(query: &Query) -> Result<Wants, &'static str> {
        let wants = Wants {
            stdin: query.flag(&["input", "stdin"]),
            stdout: query.flag(&["output", "stdout"]),
            stderr: query.flag(&["error", "stderr"]),
            tty: query.flag(&["tty"]),
        };
        if !wants.stdin && !wants.stdout && !wants.stderr {
            return Err("you must specify at least 1 of stdin, stdout, stderr");
        }
        Ok(wants)
    }
}

/// The caller's ends of a command's streams.
pub(super) struct Ends {
    pub(super) stdin: Watched<DuplexStream>,
    pub(super) stdout: Watched<DuplexStream>,
    pub(super) stderr: Watched<DuplexStream>,
    pub(super) resize: mpsc::Sender<TerminalSize>,
}

/// Streams for a command, and the caller's ends of them.
pub(super) fn streams(wants: Wants, idle: &Idle) -> (Streams, Ends) {
    let (stdout, from_stdout) = tokio::io::duplex(BUFFER);
    let (stderr, from_stderr) = tokio::io::duplex(BUFFER);
    let (stdin, to_stdin) = tokio::io::duplex(BUFFER);
    let (resize, resized) = mpsc::channel(4);
    let has_stderr = wants.stderr && !wants.tty;
    let streams = Streams {
        stdin: wants
            .stdin
            .then(|| Box::new(stdin) as container::runtime::Input),
        stdout: wants
            .stdout
            .then(|| Box::new(stdout) as container::runtime::Output),
        stderr: has_stderr.then(|| Box::new(stderr) as container::runtime::Output),
        tty: wants.tty,
        resize: wants.tty.then_some(resized),
    };
    let ends = Ends {
        stdin: idle.watch(to_stdin),
        stdout: idle.watch(from_stdout),
        stderr: idle.watch(from_stderr),
        resize,
    };
    (streams, ends)
}

/// Agrees with the client on a protocol and joins it to `work`, whose outcome
/// ends the conversation.
pub(super) fn start<W, F>(
    server: &Server,
    name: &'static str,
    request: Request<Incoming>,
    wants: Wants,
    work: W,
) -> Answer
where
    W: FnOnce(Streams) -> F + Send + 'static,
    F: Future<Output = Value> + Send,
{
    let (upgrade, answer) = match accept(request, &SPOKEN) {
        Ok(agreed) => agreed,
        Err(answer) => return *answer,
    };
    let cx = &server.handle.cx;
    let clock = cx.clock.clone();
    let idle = server.idle();
    cx.supervisor.spawn(name, Importance::Ordinary, async move {
        let protocol = upgrade.protocol;
        let talking = async {
            match upgrade.wire().await {
                Ok(Wire::WebSocket(socket)) => {
                    converse(*socket, streams(wants, &idle), clock, work).await;
                }
                Ok(Wire::Spdy(raw)) => {
                    let streams = streams(wants, &idle);
                    spdy_streams::converse(*raw, protocol, wants, streams, clock, work).await;
                }
                Err(error) => tracing::debug!(%error, name, "a stream did not come about"),
            }
        };
        idle.end(talking).await;
    });
    answer
}

/// Joins a client's socket to `work`.
async fn converse<W, F>(socket: Socket, streams: (Streams, Ends), clock: Clock, work: W)
where
    W: FnOnce(Streams) -> F,
    F: Future<Output = Value>,
{
    let (sink, source) = socket.split();
    let (sender, messages) = mpsc::channel::<Message>(16);
    let (streams, ends) = streams;
    let working = async move {
        let (out, err) = (sender.clone(), sender.clone());
        let pumps = async {
            tokio::join!(
                pump(STDOUT, ends.stdout, out),
                pump(STDERR, ends.stderr, err)
            );
        };
        let (outcome, ()) = tokio::join!(work(streams), pumps);
        let text = outcome.to_string();
        let _ = sender.send(frame(OUTCOME, text.as_bytes())).await;
        let _ = sender.send(farewell()).await;
    };
    let reading = read(source, ends.stdin, ends.resize);
    accompany(
        working,
        reading,
        write(sink, messages, clock.clone()),
        clock,
    )
    .await;
}

/// Works until the work is done and delivered, or the client is gone: then
/// nobody waits for the outcome any more.
pub(super) async fn accompany(
    working: impl Future<Output = ()>,
    reading: impl Future<Output = ()>,
    writing: impl Future<Output = ()>,
    clock: Clock,
) {
    let delivering = async {
        tokio::pin!(writing);
        tokio::select! {
            // It ends before the work only when the client is gone.
            () = &mut writing => {}
            () = working => writing.await,
        }
    };
    tokio::pin!(reading);
    tokio::select! {
        () = delivering => {
            // A connection that is closed with something unread loses what is
            // still on its way to the client.
            let _ = clock.timeout(LINGER, reading).await;
        }
        () = &mut reading => {}
    }
}

/// Sends messages until there are no more, and asks now and then whether the
/// client is still there.
pub(super) async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut messages: mpsc::Receiver<Message>,
    clock: Clock,
) {
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            () = clock.sleep(ASK_EVERY) => Some(Message::Ping(Bytes::new())),
        };
        let Some(message) = message else { break };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    // Whoever is gone needs no farewell.
    let _ = sink.close().await;
}

/// Sends what a stream yields until its end.
async fn pump(channel: u8, mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Message>) {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if to.send(frame(channel, &piece[..length])).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Takes what the client sends, until it goes.
async fn read(
    mut source: SplitStream<Socket>,
    stdin: impl AsyncWrite + Unpin,
    resize: mpsc::Sender<TerminalSize>,
) {
    let mut stdin = Some(stdin);
    while let Some(Ok(message)) = source.next().await {
        if message.is_close() {
            return;
        }
        let Some((channel, data)) = split(message) else {
            continue;
        };
        match channel {
            STDIN => {
                let written = match &mut stdin {
                    Some(to) => to.write_all(&data).await,
                    None => Ok(()),
                };
                if written.is_err() {
                    stdin = None;
                }
            }
            RESIZE => {
                if let Some(size) = size(&data) {
                    // A size that nobody waits for is of no interest.
                    let _ = resize.try_send(size);
                }
            }
            CLOSE if data.first() == Some(&STDIN) => stdin = None,
            _ => {}
        }
    }
}

fn size(data: &[u8]) -> Option<TerminalSize> {
    let value: Value = serde_json::from_slice(data).ok()?;
    size_of(&value)
}

/// `{"Width": 80, "Height": 25}`
pub(super) fn size_of(value: &Value) -> Option<TerminalSize> {
    let number = |name: &str| {
        value
            .get(name)?
            .as_u64()
            .and_then(|n| u16::try_from(n).ok())
    };
    Some(TerminalSize {
        width: number("Width")?,
        height: number("Height")?,
    })
}

/// The outcome of a command that was run.
pub(super) fn outcome(result: Result<i32, container::Error>) -> Value {
    match result {
        Ok(0) => success(),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => failure(&format!(
            "error executing command in container: {}",
            error.chain()
        )),
    }
}

/// All went well.
pub(super) fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// It did not work.
pub(super) fn failure(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"),
        "details": {"causes": [{"message": message}]},
    })
}
