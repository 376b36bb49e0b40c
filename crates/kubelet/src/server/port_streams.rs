//! Forwarded ports over SPDY: each connection is two streams with one request
//! id, data and error.
//!
//! Follows kubelet/pkg/cri/streaming/portforward/httpstream.go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use container::Runtime;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use spdy::{Receiver, Reset, Role, Sender, Stream, session};
use stdx::Clock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use super::channels::{BUFFER, PIECE};
use super::idle::Idle;

/// The ports of one pod.
pub(super) struct Ports {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) sandbox: String,
    /// What it is called in complaints.
    pub(super) pod: String,
    pub(super) clock: Clock,
    /// Whether anything is said over any of them.
    pub(super) idle: Idle,
}

/// How long what has said all is still sent what the client says.
const GRACE: Duration = Duration::from_secs(1);

impl Ports {
    /// Joins a stream to a port until both directions have ended; `taking` is
    /// what takes the port's words from the other end. A port that has said all
    /// is soon left: clients before kubectl 1.32 do not hang up by themselves.
    pub(super) async fn connect(
        &self,
        port: u16,
        stream: DuplexStream,
        taking: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let forwarded = self
            .runtime
            .port_forward(&self.sandbox, port, Box::new(stream));
        tokio::pin!(forwarded, taking);
        let outcome = tokio::select! {
            outcome = &mut forwarded => {
                taking.await;
                outcome
            }
            () = &mut taking => {
                let ended = self.clock.timeout(GRACE, &mut forwarded).await;
                ended.unwrap_or(Ok(()))
            }
        };
        outcome.map_err(|error| {
            let (pod, why) = (&self.pod, error.chain());
            format!("error forwarding port {port} to pod {pod}: {why}")
        })
    }
}

/// A connection of which one stream is open yet.
enum Half {
    Data(Sender, Receiver),
    Error(Sender),
}

/// Forwards until the client hangs up.
pub(super) async fn serve<T>(io: T, ports: Ports)
where
    T: AsyncRead + AsyncWrite,
{
    let (mut session, driver) = session(io, Role::Server, ports.clock.clone());
    let forwarding = async {
        let mut waiting: HashMap<(String, u16), Half> = HashMap::new();
        let mut connections = FuturesUnordered::new();
        loop {
            let stream = tokio::select! {
                stream = session.accept() => stream,
                Some(()) = connections.next() => continue,
            };
            let Some(stream) = stream else { return };
            if let Some((port, data, error)) = pair(stream, &mut waiting).await {
                connections.push(forward(&ports, port, data, error));
            }
        }
    };
    tokio::select! {
        () = forwarding => {}
        () = driver => {}
    }
}

/// Both streams of a connection, once they are there.
async fn pair(
    stream: Stream,
    waiting: &mut HashMap<(String, u16), Half>,
) -> Option<(u16, (Sender, Receiver), Sender)> {
    let port = stream
        .headers
        .get("port")
        .and_then(|port| port.parse().ok());
    let kind = stream.headers.get("streamtype").unwrap_or_default();
    let is_data = kind == "data";
    let (Some(port @ 1..), true) = (port, is_data || kind == "error") else {
        tracing::debug!(headers = ?stream.headers, "a stream for no port");
        stream.refuse(Reset::REFUSED);
        return None;
    };
    // The first clients gave no ids, but opened the error stream just before.
    let id = match stream.headers.get("requestid") {
        Some(id) => id.to_owned(),
        None if is_data => (stream.id.wrapping_sub(2)).to_string(),
        None => stream.id.to_string(),
    };
    let (sender, receiver) = stream.reply().await.ok()?;
    let half = match is_data {
        true => Half::Data(sender, receiver),
        false => Half::Error(sender),
    };
    let key = (id, port);
    match (waiting.remove(&key), half) {
        (Some(Half::Error(error)), Half::Data(sender, receiver))
        | (Some(Half::Data(sender, receiver)), Half::Error(error)) => {
            Some((port, (sender, receiver), error))
        }
        (_, half) => {
            waiting.insert(key, half);
            None
        }
    }
}

async fn forward(ports: &Ports, port: u16, data: (Sender, Receiver), error: Sender) {
    let (sender, receiver) = data;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (reader, writer) = tokio::io::split(ports.idle.watch(ours));
    let connected = ports.connect(port, theirs, take(reader, &sender));
    let feeding = feed(receiver, writer);
    tokio::pin!(connected, feeding);
    let outcome = tokio::select! {
        outcome = &mut connected => outcome,
        () = &mut feeding => connected.await,
    };
    if let Err(words) = outcome {
        // Whoever is gone does not hear it.
        let _ = error.send(words.into()).await;
    }
    error.finish().await;
    sender.finish().await;
}

/// What the client sends goes to the port, its end too.
async fn feed(mut from: Receiver, mut to: impl AsyncWrite + Unpin) {
    while let Some(bytes) = from.recv().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The port may have hung up already.
    let _ = to.shutdown().await;
}

/// What the port sends goes to the client, its end too.
async fn take(mut from: impl AsyncRead + Unpin, to: &Sender) {
    let mut bytes = BytesMut::with_capacity(PIECE);
    while let Ok(1..) = from.read_buf(&mut bytes).await {
        if to.send(bytes.split().freeze()).await.is_err() {
            return;
        }
        bytes.reserve(PIECE);
    }
    to.finish().await;
}
