//! One question to one server.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use crate::wire::{HEADER, Query, short};

/// Asks by datagram, from a port of its own that nobody can guess. What does
/// not answer the question is passed over.
pub(super) async fn udp(server: SocketAddr, query: &Query, message: &[u8]) -> io::Result<Vec<u8>> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    loop {
        let size = socket.recv(&mut answer).await?;
        if answers(query, message, &answer[..size]) {
            answer.truncate(size);
            answer.shrink_to_fit();
            return Ok(answer);
        }
    }
}

/// Asks over a connection.
pub(super) async fn tcp(server: SocketAddr, query: &Query, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], message].concat())
        .await?;
    let size = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(size)];
    stream.read_exact(&mut answer).await?;
    if answers(query, message, &answer) {
        return Ok(answer);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "the answer is to another question",
    ))
}

/// Whether a message answers the question: the same number, name and type. An
/// error may leave the question out.
fn answers(query: &Query, message: &[u8], answer: &[u8]) -> bool {
    if answer.len() < HEADER || answer[..2] != message[..2] || answer[2] & 0x80 == 0 {
        return false;
    }
    let failed = answer[3] & 0x0f != 0;
    if short(answer, 4) == Some(0) {
        return failed;
    }
    let name = query.name.wire();
    let end = HEADER + name.len();
    let same = answer.get(HEADER..end);
    same.is_some_and(|other| other.eq_ignore_ascii_case(name))
        && short(answer, end) == Some(query.kind)
        && short(answer, end + 2) == Some(query.class)
}
