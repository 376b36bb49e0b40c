//! `/portForward/NS/POD[/UID]`: ports of a pod over one connection.
//!
//! Over SPDY, plain or tunnelled in a WebSocket as kubectl prefers it, each
//! connection is a pair of streams (`port_streams.rs`). Over a plain WebSocket
//! the ports are named in the query, and each has two channels, data and error,
//! which begin with the port's number. Follows pkg/kubelet
//! portforward/{websocket,httpstream}.go and apimachinery/pkg/util/httpstream.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use stdx::Importance;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::channels::{accompany, write};
use super::port_streams::Ports;
use super::query::Query;
use super::upgrade::{Socket, Spoken, Wire, accept, farewell};
use super::{Answer, Server, port_streams, text};

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const SPOKEN: Spoken = Spoken {
    web_socket: &[TUNNEL, "v4.channel.k8s.io"],
    spdy: &["portforward.k8s.io"],
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
    let needs_ports = !upgrade.is_spdy() && upgrade.protocol != TUNNEL;
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
    };
    cx.supervisor
        .spawn("port forward", Importance::Ordinary, async move {
            let is_tunnel = upgrade.protocol == TUNNEL;
            match upgrade.wire().await {
                Ok(Wire::Spdy(raw)) => port_streams::serve(*raw, ports_of).await,
                Ok(Wire::WebSocket(socket)) if is_tunnel => {
                    tunnel(*socket, ports_of).await;
                }
                Ok(Wire::WebSocket(socket)) => forward(*socket, ports_of, ports).await,
                Err(error) => tracing::debug!(%error, "a forwarded port did not come about"),
            }
        });
    answer
}

/// SPDY whose bytes are the messages of a WebSocket. Follows
/// apimachinery/pkg/util/portforward/tunneling_connection.go.
async fn tunnel(socket: Socket, ports: Ports) {
    let (mut sink, mut source) = socket.split();
    let (inner, outer) = tokio::io::duplex(BUFFER);
    let (mut reader, mut writer) = tokio::io::split(outer);
    let reading = async {
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(bytes) if writer.write_all(&bytes).await.is_err() => return,
                Message::Close(_) => break,
                _ => {}
            }
        }
        // SPDY sees the end as that of its connection.
        let _ = writer.shutdown().await;
    };
    let writing = async {
        let mut bytes = BytesMut::with_capacity(BUFFER);
        while let Ok(1..) = reader.read_buf(&mut bytes).await {
            if sink
                .send(Message::Binary(bytes.split().freeze()))
                .await
                .is_err()
            {
                return;
            }
            bytes.reserve(BUFFER / 2);
        }
        let _ = sink.send(farewell()).await;
        let _ = sink.close().await;
    };
    let serving = port_streams::serve(inner, ports);
    let moving = async { tokio::join!(reading, serving) };
    tokio::select! {
        _ = moving => {}
        () = writing => {}
    }
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
    let mut writers: HashMap<u8, WriteHalf<tokio::io::DuplexStream>> = HashMap::new();
    let mut joined = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let data = u8::try_from(2 * index).unwrap_or(u8::MAX);
        for channel in [data, data + 1] {
            // The queue is empty and its receiver is at hand.
            let _ = sender.try_send(frame(channel, &port.to_le_bytes()));
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (reader, writer) = tokio::io::split(ours);
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
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return,
                _ => continue,
            };
            let Some((channel, data)) = bytes.split_first() else {
                continue;
            };
            let written = match writers.get_mut(channel) {
                Some(writer) => writer.write_all(data).await,
                None => Ok(()),
            };
            if written.is_err() {
                writers.remove(channel);
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

async fn pump(channel: u8, mut from: ReadHalf<tokio::io::DuplexStream>, to: mpsc::Sender<Message>) {
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

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}
