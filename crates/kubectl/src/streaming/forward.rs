//! Ports of this machine that lead into a pod, over one connection.
//!
//! Each connection to a port is a pair of SPDY streams, data and error. Follows
//! staging/src/k8s.io/client-go/tools/portforward/portforward.go.

use super::dial::{Spoken, Wire, dial};
use super::log_line;
use crate::api::Api;
use crate::error::{Result, said};
use crate::io;
use bytes::{Bytes, BytesMut};
use futures::stream::{FuturesUnordered, StreamExt as _};
use spdy::{Headers, Receiver, Reset, Role, Sender, Session, session};
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use streams::protocol;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const SPOKEN: Spoken = Spoken {
    web_socket: protocol::TUNNELLED_PORTS,
    spdy: &[protocol::PORTS],
};
const PIECE: usize = 32 << 10;

/// A port here and the port there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Specification {
    /// Zero is any that is free.
    pub local: u16,
    /// The pod's.
    pub remote: u16,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    ip: IpAddr,
    /// One of the two of `localhost`, which may be missing.
    is_local: bool,
}

/// What is to be forwarded.
pub struct Forward<'a> {
    /// The server.
    pub api: &'a Api,
    /// The pod's endpoint.
    pub path: String,
    /// Where to listen.
    pub addresses: Vec<Address>,
    /// Which ports.
    pub ports: Vec<Specification>,
}

/// Reads `8080:80`, `80`, `:80`.
pub fn specifications(texts: &[String]) -> Result<Vec<Specification>> {
    let number = |which: &str, text: &str| {
        text.parse::<u16>().or_else(|_| {
            let why = match text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
                true => "value out of range",
                false => "invalid syntax",
            };
            let quoted = crate::words::quote(text);
            said(format!(
                "error parsing {which} port '{text}': strconv.ParseUint: parsing {quoted}: {why}"
            ))
        })
    };
    let read = |text: &String| {
        let (local, remote) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [one] => (*one, *one),
            ["", remote] => ("0", *remote),
            [local, remote] => (*local, *remote),
            _ => return said(format!("invalid port format '{text}'")),
        };
        let local = number("local", local)?;
        match number("remote", remote)? {
            0 => said("remote port must be > 0"),
            remote => Ok(Specification { local, remote }),
        }
    };
    texts.iter().map(read).collect()
}

/// Reads addresses; `localhost` is both of its addresses.
pub fn addresses(texts: &[String]) -> Result<Vec<Address>> {
    if texts.iter().all(String::is_empty) {
        return said("you must specify at least 1 address");
    }
    let mut out = Vec::new();
    let mut add = |ip: IpAddr, is_local| {
        if !out.iter().any(|known: &Address| known.ip == ip) {
            out.push(Address { ip, is_local });
        }
    };
    for text in texts {
        match text.parse() {
            Ok(ip) => add(ip, false),
            Err(_) if text == "localhost" => {
                add(Ipv4Addr::LOCALHOST.into(), true);
                add(Ipv6Addr::LOCALHOST.into(), true);
            }
            Err(_) => return said(format!("{text} is not a valid IP")),
        }
    }
    out.sort();
    Ok(out)
}

impl Forward<'_> {
    /// Forwards until the connection to the pod ends.
    pub async fn run(self) -> Result {
        let wire = dial(self.api, &self.path, &SPOKEN).await;
        let wire = wire.map_err(|error| match error {
            crate::error::Error::Refused(_) | crate::error::Error::Said(_) => {
                crate::error::Error::Said(format!(
                    "error upgrading connection: {}",
                    error.message()
                ))
            }
            other => other,
        })?;
        match wire {
            Wire::Socket(socket) => {
                let (connection, moving) = streams::tunnel(*socket);
                tokio::select! {
                    outcome = self.forward(connection) => outcome,
                    () = moving => lost(),
                }
            }
            Wire::Spdy(raw, _) => self.forward(raw).await,
        }
    }

    async fn forward(self, connection: impl AsyncRead + AsyncWrite) -> Result {
        let (session, driver) = session(connection, Role::Client, stdx::Clock::system());
        let listeners = self.listen().await?;
        let pod = Pod {
            session,
            requests: Cell::new(0),
            given_up: Notify::new(),
        };
        let mut accepting: FuturesUnordered<_> = listeners
            .iter()
            .map(|(listener, port)| pod.serve(listener, *port))
            .collect();
        tokio::select! {
            () = driver => lost(),
            () = pod.given_up.notified() => lost(),
            _ = async { while accepting.next().await.is_some() {} } => lost(),
        }
    }

    async fn listen(&self) -> Result<Vec<(TcpListener, Specification)>> {
        let mut all = Vec::new();
        let mut has_any = false;
        let mut ports = self.ports.clone();
        for port in &mut ports {
            match listen_on(&self.addresses, port, &mut all).await {
                Ok(()) => has_any = true,
                Err(why) => io::warn(format!("Unable to listen on port {}: {why}", port.local)),
            }
        }
        if has_any {
            return Ok(all);
        }
        let ports = ports
            .iter()
            .map(|port| format!("{{{} {}}}", port.local, port.remote));
        said(format!(
            "unable to listen on any of the requested ports: [{}]",
            ports.collect::<Vec<_>>().join(" ")
        ))
    }
}

fn lost() -> Result {
    said("lost connection to pod")
}

/// Listens on all addresses; of those of `localhost` one is enough.
async fn listen_on(
    addresses: &[Address],
    port: &mut Specification,
    all: &mut Vec<(TcpListener, Specification)>,
) -> std::result::Result<(), String> {
    let mut failures = Vec::new();
    let (mut has_local, mut misses_local, mut misses_other) = (false, false, false);
    for address in addresses {
        let at = SocketAddr::new(address.ip, port.local);
        let bound = TcpListener::bind(at).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((at, listener)) => {
                // The next address gets the same port.
                port.local = at.port();
                io::line(format!("Forwarding from {at} -> {}", port.remote));
                all.push((listener, *port));
                has_local |= address.is_local;
            }
            Err(error) => {
                let network = if at.is_ipv4() { "tcp4" } else { "tcp6" };
                failures.push(format!(
                    "unable to create listener: Error listen {network} {at}: bind: {}",
                    words_of(&error)
                ));
                misses_local |= address.is_local;
                misses_other |= !address.is_local;
            }
        }
    }
    if misses_other || (misses_local && !has_local) {
        return Err(format!(
            "Listeners failed to create with the following errors: [{}]",
            failures.join(" ")
        ));
    }
    Ok(())
}

fn words_of(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "address already in use".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::AddrNotAvailable => "cannot assign requested address".into(),
        _ => error.to_string(),
    }
}

/// The pod at the other end.
struct Pod {
    session: Session,
    requests: Cell<u64>,
    given_up: Notify,
}

impl Pod {
    async fn serve(&self, listener: &TcpListener, port: Specification) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((connection, _)) => connections.push(self.join(connection, port)),
                    Err(error) => {
                        let local = [("localPort", port.local.to_string())];
                        log_line::error("Error accepting connection", &error.to_string(), &local);
                        return;
                    }
                },
                Some(()) = connections.next() => {}
            }
        }
    }

    /// Joins a connection to the port in the pod. What the pod complains about ends everything, as
    /// upstream has it: the port may answer again in a new pod only.
    async fn join(&self, connection: TcpStream, port: Specification) {
        io::line(format!("Handling connection for {}", port.local));
        let pairs = [
            ("localPort", port.local.to_string()),
            ("remotePort", port.remote.to_string()),
        ];
        let Some((data, error)) = self.open(port).await else {
            log_line::error(
                "Error creating forwarding stream",
                "the session is closed",
                &pairs,
            );
            return;
        };
        let told = relay(connection, data, error).await;
        if !told.is_empty() {
            log_line::error(
                "An error occurred forwarding",
                &String::from_utf8_lossy(&told),
                &pairs,
            );
            self.given_up.notify_one();
        }
    }

    async fn open(&self, port: Specification) -> Option<((Sender, Receiver), Receiver)> {
        let id = self.requests.replace(self.requests.get() + 1);
        let headers = |kind: &str| {
            Headers::default()
                .with("streamtype", kind)
                .with("port", &port.remote.to_string())
                .with("requestid", &id.to_string())
        };
        let (unused, error) = self.session.open(headers("error")).await.ok()?.split();
        unused.finish().await;
        let data = self.session.open(headers("data")).await.ok()?.split();
        Some((data, error))
    }
}

/// Moves bytes both ways until the pod has said all, or this side is broken; gives what was
/// complained about.
async fn relay(
    connection: TcpStream,
    (sender, mut receiver): (Sender, Receiver),
    mut error: Receiver,
) -> Bytes {
    let (mut reader, mut writer) = connection.into_split();
    let taking = async {
        while let Some(bytes) = receiver.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let giving = async {
        let mut bytes = BytesMut::with_capacity(PIECE);
        loop {
            match reader.read_buf(&mut bytes).await {
                Ok(0) => break,
                Ok(_) if sender.send(bytes.split().freeze()).await.is_err() => return,
                Ok(_) => bytes.reserve(PIECE),
                Err(_) => return,
            }
        }
        sender.finish().await;
        std::future::pending::<()>().await;
    };
    let hearing = async {
        let mut told = BytesMut::new();
        while let Some(bytes) = error.recv().await {
            told.extend_from_slice(&bytes);
        }
        told.freeze()
    };
    tokio::select! {
        () = taking => {}
        () = giving => {}
    }
    // What is still on its way must not keep the error from coming.
    sender.reset(Reset::CANCEL);
    hearing.await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn ports_are_read() {
        let read = |text: &str| match specifications(&texts(text)) {
            Ok(all) => {
                let pairs = all
                    .iter()
                    .map(|port| format!("{}>{}", port.local, port.remote));
                pairs.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(read("80 1:80 :80 0:80"), "80>80 1>80 0>80 0>80");
        assert_eq!(read("1:2:3"), "invalid port format '1:2:3'");
        assert_eq!(read("1:0"), "remote port must be > 0");
        assert_eq!(
            read("x:80"),
            "error parsing local port 'x': strconv.ParseUint: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            read("70000"),
            "error parsing local port '70000': strconv.ParseUint: parsing \"70000\": value out of range"
        );
    }

    #[test]
    fn localhost_is_two_addresses() {
        let read = |text: &str| {
            addresses(&texts(text))
                .map(|all| all.iter().map(|one| one.ip.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            read("localhost 127.0.0.1 10.0.0.1").ok(),
            Some(vec!["10.0.0.1".into(), "127.0.0.1".into(), "::1".into()])
        );
        let error = read("web").expect_err("no address");
        assert_eq!(error.to_string(), "web is not a valid IP");
    }
}
