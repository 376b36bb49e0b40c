//! `/portForward/NS/POD[/UID]`: ports of a pod over one connection.
//!
//! Over SPDY, plain or tunnelled in a WebSocket as kubectl prefers it, each
//! connection is a pair of streams (`port_streams.rs`). Over a plain WebSocket
//! the ports are named in the query, and each has two channels, data and error,
//! which begin with the port's number. Follows pkg/kubelet
//! portforward/{websocket,httpstream}.go and apimachinery/pkg/util/httpstream.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use stdx::Importance;
use streams::channel::{frame, split};
use streams::protocol::{PORTS, TUNNELLED_PORTS, V4};
use streams::{Message, farewell};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;

use super::channels::{accompany, write};
use super::port_streams::Ports;
use super::query::Query;
use super::upgrade::{Socket, Spoken, Upgrade, Wire, accept};
use super::{Answer, Server, port_streams, text};

const SPOKEN: Spoken = Spoken {
    web_socket: &[TUNNELLED_PORTS, V4],
    spdy: &[PORTS],
};
const BUFFER: usize = 64 * 1024;

pub(super) async fn answer(
    server: &Arc<Server>,
    request: Request<Incoming>,
    path: &[&str],
) -> Answer {
    let (namespace, name, uid) = match path {
        [namespace, name] => (*namespace, *name, None),
        [namespace, name, uid] => (*namespace, *name, Some(*uid)),
        _ => return text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    let pod = match server.pod(namespace, name, uid) {
        Ok(pod) => pod,
        Err(answer) => return *answer,
    };
    let sandbox = match server.sandbox(&pod).await {
        Ok(sandbox) => sandbox,
        Err(answer) => return *answer,
    };
    let ports = ports(&Query::of(&request));
    let (upgrade, answer) = match accept(request, &SPOKEN) {
        Ok(agreed) => agreed,
        Err(answer) => return *answer,
    };
    // Only channels need to be told beforehand which ports they are for.
    let needs_ports = !upgrade.is_spdy() && upgrade.protocol != TUNNELLED_PORTS;
    let ports = match ports {
        Err(words) if needs_ports => return text(StatusCode::BAD_REQUEST, words),
        ports => ports.unwrap_or_default(),
    };
    let cx = &server.handle.cx;
    let ports_of = Ports {
        runtime: Arc::clone(&cx.runtime),
        sandbox,
        pod: format!("{name}_{namespace}"),
        clock: cx.clock.clone(),
        idle: server.idle(),
    };
    let idle = ports_of.idle.clone();
    cx.supervisor
        .spawn("port forward", Importance::Ordinary, async move {
            idle.end(join(upgrade, ports_of, ports)).await;
        });
    answer
}

/// Joins a client to the ports of a pod, whatever it speaks.
async fn join(upgrade: Upgrade, ports_of: Ports, ports: Vec<u16>) {
    let is_tunnel = upgrade.protocol == TUNNELLED_PORTS;
    match upgrade.wire().await {
        Ok(Wire::Spdy(raw)) => port_streams::serve(*raw, ports_of).await,
        Ok(Wire::WebSocket(socket)) if is_tunnel => tunnel(*socket, ports_of).await,
        Ok(Wire::WebSocket(socket)) => forward(*socket, ports_of, ports).await,
        Err(error) => tracing::debug!(%error, "a forwarded port did not come about"),
    }
}

/// SPDY whose bytes are the messages of a WebSocket.
async fn tunnel(socket: Socket, ports: Ports) {
    let (inner, moving) = streams::tunnel(socket);
    tokio::join!(port_streams::serve(inner, ports), moving);
}

fn ports(query: &Query) -> Result<Vec<u16>, String> {
    let all = query.all("ports").chain(query.all("port"));
    let words = all.flat_map(|value| value.split(','));
    let mut ports = Vec::new();
    for word in words {
        let port = word.trim().parse::<u16>().ok().filter(|port| *port > 0);
        ports.push(port.ok_or_else(|| format!("invalid port {word:?}"))?);
    }
    if ports.is_empty() || ports.len() > 64 {
        return Err("query parameter \"ports\" is required".to_owned());
    }
    Ok(ports)
}

async fn forward(socket: Socket, ports_of: Ports, ports: Vec<u16>) {
    let clock = ports_of.clock.clone();
    let (sink, mut source) = socket.split();
    let (sender, messages) = mpsc::channel::<Message>(ports.len() * 2 + 16);
    let mut writers: HashMap<u8, WriteHalf<_>> = HashMap::new();
    let mut joined = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let data = u8::try_from(2 * index).unwrap_or(u8::MAX);
        for channel in [data, data + 1] {
            // The queue is empty and its receiver is at hand.
            let _ = sender.try_send(frame(channel, &port.to_le_bytes()));
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (reader, writer) = tokio::io::split(ports_of.idle.watch(ours));
        writers.insert(data, writer);
        let (ports_of, sender, port) = (&ports_of, sender.clone(), *port);
        joined.push(async move {
            let taking = pump(data, reader, sender.clone());
            if let Err(words) = ports_of.connect(port, theirs, taking).await {
                let _ = sender.send(frame(data + 1, words.as_bytes())).await;
            }
        });
    }
    let working = async move {
        futures::future::join_all(joined).await;
        let _ = sender.send(farewell()).await;
    };
    let reading = async move {
        while let Some(Ok(message)) = source.next().await {
            if message.is_close() {
                return;
            }
            let Some((channel, data)) = split(message) else {
                continue;
            };
            let written = match writers.get_mut(&channel) {
                Some(writer) => writer.write_all(&data).await,
                None => Ok(()),
            };
            if written.is_err() {
                writers.remove(&channel);
            }
        }
    };
    accompany(
        working,
        reading,
        write(sink, messages, clock.clone()),
        clock,
    )
    .await;
}

async fn pump(channel: u8, mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Message>) {
    let mut piece = vec![0; BUFFER / 2];
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
