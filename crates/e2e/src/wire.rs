//! A client that is nothing but a socket: what it sends is what the test says,
//! and it can stop, lie or vanish at any byte.

use crate::Cluster;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{self, BufRead as _, BufReader, Error, ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long a socket waits for the server before it is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the server is and who asks.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// A connection that speaks HTTP/1.1.
pub struct Wire(BufReader<StreamOwned<ClientConnection, TcpStream>>);

/// An answer with its body.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// A body that comes in pieces.
pub struct Pieces(Wire);

/// The events of a watch.
pub struct Events {
    wire: Wire,
    line: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null when it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Door {
    /// The API server as its administrator sees it.
    pub fn of(cluster: &Cluster) -> Door {
        let text = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig");
        let field = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
            let line = line.unwrap_or_else(|| panic!("the kubeconfig has no {name}"));
            BASE64_STANDARD.decode(line).expect("base64")
        };
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(&field("certificate-authority-data"));
        roots.add(ca.expect("a certificate")).expect("a CA");
        let leaf = CertificateDer::from_pem_slice(&field("client-certificate-data"));
        let key = PrivateKeyDer::from_pem_slice(&field("client-key-data"));
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![leaf.expect("a certificate")], key.expect("a key"))
            .expect("a client's certificate");
        Door {
            address: SocketAddr::from(([127, 0, 0, 1], cluster.https_port())),
            tls: Arc::new(tls),
        }
    }

    /// A connection without TLS.
    pub fn knock(&self) -> io::Result<TcpStream> {
        let socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // A head and a body are sent one after the other.
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// A connection after its handshake.
    pub fn enter(&self) -> io::Result<Wire> {
        let mut socket = self.knock()?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let mut tls = ClientConnection::new(self.tls.clone(), name).map_err(Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Wire(BufReader::new(StreamOwned::new(tls, socket))))
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        self.enter()?.ask(method, path, body)
    }

    /// A watch; an answer other than 200 is an error.
    pub fn watch(&self, path: &str) -> io::Result<Events> {
        let wire = self.read(path)?.0;
        Ok(Events {
            wire,
            line: Vec::new(),
        })
    }

    /// An answer that comes in pieces; one other than 200 is an error.
    pub fn read(&self, path: &str) -> io::Result<Pieces> {
        let mut wire = self.enter()?;
        wire.send_head("GET", path, 0)?;
        match wire.read_head()? {
            (200, _) => Ok(Pieces(wire)),
            (code, _) => Err(Error::other(format!("{code}"))),
        }
    }
}

impl Wire {
    /// How long a read may take.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.0.get_ref().sock.set_read_timeout(Some(patience))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Sends the head of a request.
    pub fn send_head(&mut self, method: &str, path: &str, length: usize) -> io::Result<()> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: trouble\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.send(head.as_bytes())
    }

    /// One request and its answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        self.send_head(method, path, body.len())?;
        self.send(body.as_bytes())?;
        self.receive()
    }

    /// An answer.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let (code, length) = self.read_head()?;
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.0.read_exact(&mut body)?;
            }
            None => while self.read_chunk(&mut body)? {},
        }
        Ok(Reply { code, body })
    }

    /// The head of an answer whose body is none of HTTP's.
    pub fn receive_head(&mut self) -> io::Result<u16> {
        Ok(self.read_head()?.0)
    }

    /// So many bytes.
    pub fn receive_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether the server ends the connection, whatever it says before.
    pub fn is_ended(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                }
            }
        }
    }

    /// The status code, and the body's length unless it comes in chunks.
    fn read_head(&mut self) -> io::Result<(u16, Option<usize>)> {
        let status = self.read_line()?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| Error::other(status.clone()))?;
        let mut length = None;
        loop {
            let line = self.read_line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((code, length));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        Ok(line.trim_end_matches('\r').to_string())
    }

    /// Adds a chunk; whether more follow.
    fn read_chunk(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let line = self.read_line()?;
        let size = usize::from_str_radix(&line, 16).map_err(Error::other)?;
        let begin = out.len();
        out.resize(begin + size, 0);
        self.0.read_exact(&mut out[begin..])?;
        self.read_line()?;
        Ok(size > 0)
    }
}

impl Pieces {
    /// The next piece; nothing when the body has ended as it should.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        let more = self.0.read_chunk(&mut piece)?;
        Ok(more.then_some(piece))
    }

    /// All pieces, however long the first one takes.
    pub fn whole(mut self) -> io::Result<Vec<u8>> {
        self.0.0.get_ref().sock.set_read_timeout(None)?;
        let mut whole = Vec::new();
        while self.0.read_chunk(&mut whole)? {}
        Ok(whole)
    }
}

impl Events {
    /// The next event; nothing when the watch has ended as it should.
    pub fn event(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let rest = self.line.split_off(end + 1);
                let line = std::mem::replace(&mut self.line, rest);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if !self.wire.read_chunk(&mut self.line)? {
                return Ok(None);
            }
        }
    }

    /// How long to wait for an event.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.wire.set_patience(patience)
    }
}
