//! A GET without a client program and without what the environment says of proxies.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks and returns the body of a 200.
pub fn fetch(host: &str, port: u16, path: &str) -> std::io::Result<String> {
    let address: Option<SocketAddr> = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| Error::from(ErrorKind::AddrNotAvailable))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_string()),
        _ => Err(Error::other(answer)),
    }
}
