//! `/portForward/NS/POD[/UID]?ports=`: ports of a pod over one WebSocket.
//!
//! Each port has two channels, data and error, which begin with the port's
//! number. Follows pkg/kubelet portforward/websocket.go. The SPDY tunnel that
//! kubectl prefers is refused by name.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use container::Runtime;
use futures::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use stdx::Importance;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::query::Query;
use super::upgrade::{Socket, Upgrade, accept, farewell};
use super::{Answer, Server, text};

const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];
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
    let ports = match ports(&Query::of(&request)) {
        Ok(ports) => ports,
        Err(words) => return text(StatusCode::BAD_REQUEST, words),
    };
    let pod = match server.pod(namespace, name, uid) {
        Ok(pod) => pod,
        Err(answer) => return *answer,
    };
    let sandbox = match server.sandbox(&pod).await {
        Ok(sandbox) => sandbox,
        Err(answer) => return *answer,
    };
    let (_, answer, upgrade) = match accept(request, &PROTOCOLS) {
        Ok(upgrade) => upgrade.split(),
        Err(answer) => return *answer,
    };
    let cx = &server.handle.cx;
    let runtime = Arc::clone(&cx.runtime);
    cx.supervisor
        .spawn("port forward", Importance::Ordinary, async move {
            match Upgrade::socket(upgrade).await {
                Ok(socket) => forward(socket, runtime, sandbox, ports).await,
                Err(error) => tracing::debug!(%error, "a forwarded port did not come about"),
            }
        });
    answer
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

async fn forward(socket: Socket, runtime: Arc<dyn Runtime>, sandbox: String, ports: Vec<u16>) {
    let (mut sink, mut source) = socket.split();
    let (sender, mut messages) = mpsc::channel::<Message>(16);
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
        let (runtime, sandbox, sender, port) =
            (Arc::clone(&runtime), sandbox.clone(), sender.clone(), *port);
        joined.push(async move {
            let forwarded = runtime.port_forward(&sandbox, port, Box::new(theirs));
            let (result, ()) = tokio::join!(forwarded, pump(data, reader, sender.clone()));
            if let Err(error) = result {
                let words = format!("error forwarding port {port}: {}", error.chain());
                let _ = sender.send(frame(data + 1, words.as_bytes())).await;
            }
        });
    }
    drop(sender);
    let writing = async move {
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.send(farewell()).await;
        let _ = sink.close().await;
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
    let working = async {
        tokio::join!(futures::future::join_all(joined), writing);
    };
    tokio::select! {
        () = working => {}
        () = reading => {}
    }
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
