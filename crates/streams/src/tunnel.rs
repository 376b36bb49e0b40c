//! A connection whose bytes are the messages of a WebSocket. Follows
//! apimachinery/pkg/util/portforward and client-go/tools/portforward/tunneling_connection.go.

use crate::{Message, WebSocketStream, farewell};
use bytes::BytesMut;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

const BUFFER: usize = 64 << 10;

/// The connection in the tunnel, and a future that moves its bytes. The future ends when the
/// connection was dropped and the peer has been told, or when the peer is gone.
pub fn tunnel<S>(socket: WebSocketStream<S>) -> (DuplexStream, impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (inner, outer) = tokio::io::duplex(BUFFER);
    let (mut sink, mut source) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(outer);
    let reading = async move {
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(bytes) if writer.write_all(&bytes).await.is_err() => break,
                Message::Close(_) => break,
                _ => {}
            }
        }
        // Who sits in the tunnel sees the end as that of the connection.
        let _ = writer.shutdown().await;
        std::future::pending::<()>().await;
    };
    let writing = async move {
        let mut bytes = BytesMut::with_capacity(BUFFER);
        while let Ok(1..) = reader.read_buf(&mut bytes).await {
            let message = Message::Binary(bytes.split().freeze());
            if sink.send(message).await.is_err() {
                return;
            }
            bytes.reserve(BUFFER / 2);
        }
        // Whoever is gone needs no farewell.
        let _ = sink.send(farewell()).await;
        let _ = sink.close().await;
    };
    let moving = async {
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    };
    (inner, moving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake;

    #[tokio::test]
    async fn bytes_pass_both_ways_and_the_end_is_told() {
        let (here, there) = tokio::io::duplex(1 << 10);
        let (mut client, client_moves) = tunnel(handshake::client(here).await);
        let (mut server, server_moves) = tunnel(handshake::server(there).await);
        let talk = async move {
            let sent = vec![7; 300_000];
            let mut heard = vec![0; sent.len()];
            let (wrote, read) =
                tokio::join!(client.write_all(&sent), server.read_exact(&mut heard));
            wrote.and(read).expect("what was sent");
            assert_eq!(heard, sent);
            server.write_all(b"back").await.expect("room");
            drop(server);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("the end");
            assert_eq!(rest, b"back");
        };
        tokio::join!(talk, client_moves, server_moves);
    }
}
