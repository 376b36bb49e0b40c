//! The channel protocol of exec and attach: the first byte of each message says
//! which stream it belongs to.
//!
//! 0 stdin, 1 stdout, 2 stderr, 3 the outcome, 4 the terminal's size; in version
//! 5 also 255, which closes a stream. Follows
//! apimachinery/pkg/util/httpstream/wsstream and remotecommand/websocket.go.

use std::future::Future;

use bytes::{BufMut, Bytes, BytesMut};
use container::runtime::{Streams, TerminalSize};
use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::query::Query;
use super::upgrade::{Socket, farewell};

/// The versions that are spoken, the best first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const OUTCOME: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

const BUFFER: usize = 64 * 1024;
const PIECE: usize = 32 * 1024;

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

/// Joins a client's socket to `work`, whose outcome ends the conversation.
pub(super) async fn converse<W, F>(socket: Socket, wants: Wants, work: W)
where
    W: FnOnce(Streams) -> F,
    F: Future<Output = Value>,
{
    let (mut sink, source) = socket.split();
    let (sender, mut messages) = mpsc::channel::<Message>(16);
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
    let writing = async move {
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        // Whoever is gone needs no farewell.
        let _ = sink.close().await;
    };
    let working = async move {
        let (out, err) = (sender.clone(), sender.clone());
        let pumps = async {
            tokio::join!(
                pump(STDOUT, from_stdout, out),
                pump(STDERR, from_stderr, err)
            );
        };
        let (outcome, ()) = tokio::join!(work(streams), pumps);
        let text = outcome.to_string();
        let _ = sender.send(frame(OUTCOME, text.as_bytes())).await;
        let _ = sender.send(farewell()).await;
    };
    let reading = read(source, to_stdin, resize);
    tokio::pin!(writing);
    tokio::pin!(working);
    tokio::select! {
        () = async { tokio::join!(&mut working, &mut writing); } => {}
        // The client is gone: nobody waits for the outcome any more.
        () = reading => {}
    }
}

/// Sends what a stream yields until its end.
async fn pump(channel: u8, mut from: DuplexStream, to: mpsc::Sender<Message>) {
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

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}

/// Takes what the client sends, until it goes.
async fn read(
    mut source: SplitStream<Socket>,
    stdin: DuplexStream,
    resize: mpsc::Sender<TerminalSize>,
) {
    let mut stdin = Some(stdin);
    while let Some(Ok(message)) = source.next().await {
        let bytes: Bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel, data)) = bytes.split_first() else {
            continue;
        };
        match *channel {
            STDIN => {
                let written = match &mut stdin {
                    Some(to) => to.write_all(data).await,
                    None => Ok(()),
                };
                if written.is_err() {
                    stdin = None;
                }
            }
            RESIZE => {
                if let Some(size) = size(data) {
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
