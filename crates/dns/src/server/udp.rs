//! Datagrams.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, task::JoinSet};

use super::{Next, Shared};
use crate::wire::Reply;

/// The longest query that is read; longer ones are cut, and then malformed.
const QUERY_MAX: usize = 4096;

/// Clients of one socket that wait for what others say; more are refused.
const ASKING_MAX: usize = 4096;

/// Datagrams that are answered before others get their turn.
const BURST: usize = 64;

/// Answers what comes to a socket.
pub(super) async fn serve(shared: Arc<Shared>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut server = Serving {
        shared,
        socket: socket.clone(),
        query: vec![0; QUERY_MAX],
        reply: Reply::default(),
        out: Vec::with_capacity(QUERY_MAX),
        asking: JoinSet::new(),
    };
    loop {
        tokio::select! {
            ready = socket.readable() => match ready {
                Ok(()) => server.burst(),
                Err(error) => {
                    tracing::error!(%error, "the DNS server's socket failed");
                    return;
                }
            },
            Some(ended) = server.asking.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "forwarding a DNS query failed");
                }
            }
        }
    }
}

struct Serving {
    shared: Arc<Shared>,
    socket: Arc<UdpSocket>,
    query: Vec<u8>,
    reply: Reply,
    out: Vec<u8>,
    /// Queries for which others are asked.
    asking: JoinSet<()>,
}

impl Serving {
    fn burst(&mut self) {
        for _ in 0..BURST {
            match self.socket.try_recv_from(&mut self.query) {
                Ok((size, client)) => self.answer(size, client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier answer met on its way.
                Err(_) => {}
            }
        }
    }

    fn answer(&mut self, size: usize, client: SocketAddr) {
        let message = &self.query[..size];
        match self
            .shared
            .handle(message, true, &mut self.reply, &mut self.out)
        {
            Next::Drop => {}
            // An answer for which there is no room is lost like any datagram.
            Next::Send => drop(self.socket.try_send_to(&self.out, client)),
            Next::Ask(query, _) if self.asking.len() >= ASKING_MAX => {
                self.shared.busy(&query, &mut self.out);
                drop(self.socket.try_send_to(&self.out, client));
            }
            Next::Ask(query, chase) => {
                let shared = self.shared.clone();
                let socket = self.socket.clone();
                let message = message.to_vec();
                self.asking.spawn(async move {
                    let mut out = Vec::new();
                    shared.ask(&query, &message, true, chase, &mut out).await;
                    if let Err(error) = socket.send_to(&out, client).await {
                        tracing::debug!(%client, %error, "a DNS answer could not be sent");
                    }
                });
            }
        }
    }
}
