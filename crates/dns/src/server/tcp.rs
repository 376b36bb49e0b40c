//! Connections.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Next, Shared};
use crate::wire::Reply;

/// Connections at once; further ones wait.
const CONNECTIONS_MAX: usize = 256;

/// For how long a client may be silent, or slow.
const IDLE: Duration = Duration::from_secs(10);

/// How long to wait when a connection cannot be accepted, for lack of file
/// descriptors for instance.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers what comes over connections.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(shared.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "a DNS connection could not be accepted");
                    shared.clock.sleep(PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a DNS connection failed");
                }
            }
        }
    }
}

/// Answers the queries of one connection, in their order, until its client
/// has enough, or is too slow.
async fn converse(shared: Arc<Shared>, mut stream: TcpStream) {
    let mut reply = Reply::default();
    let mut out = Vec::new();
    loop {
        let query = shared.clock.timeout(IDLE, read(&mut stream)).await;
        let Ok(Ok(Some(message))) = query else {
            return;
        };
        match shared.handle(&message, false, &mut reply, &mut out) {
            Next::Drop => return,
            Next::Send => {}
            Next::Ask(query, chase) => {
                shared.ask(&query, &message, false, chase, &mut out).await;
            }
        }
        let written = shared.clock.timeout(IDLE, write(&mut stream, &out)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Reads a message behind its length; none at the end.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let size = match stream.read_u16().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        size => size?,
    };
    let mut message = vec![0; usize::from(size)];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await
}
