//! Servers behind proxies, which are doubles that note what they are asked.

use super::tests::{Authority, acceptor, serve, upgrades};
use super::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A proxy that leads everybody to one server, whatever its name.
struct Way {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    async fn to(server: u16) -> Self {
        Self::behind_tls(server, None).await
    }

    /// A proxy with which TLS is spoken, if there is an acceptor.
    async fn behind_tls(server: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, noted) = (tls.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    match tls {
                        None => lead(stream, server, noted).await,
                        Some(tls) => lead(tls.accept(stream).await.unwrap(), server, noted).await,
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn config(&self, scheme: &str, server: &str) -> HttpConfig {
        let url = format!("{scheme}://user:word@127.0.0.1:{}", self.port);
        HttpConfig {
            server: server.into(),
            proxies: Proxies::one(Proxy::new(&url).unwrap()),
            ..HttpConfig::default()
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

async fn lead(mut client: impl Io, server: u16, noted: Arc<Mutex<Vec<String>>>) {
    let Ok(first) = client.read_u8().await else {
        return;
    };
    let (line, sent_on) = match first {
        5 => (greet(&mut client).await, Vec::new()),
        first => {
            let head = read_head(first, &mut client).await;
            let line = head.lines().next().unwrap_or_default().to_owned();
            assert!(head.contains("Basic dXNlcjp3b3Jk"), "{head}");
            match line.starts_with("CONNECT") {
                true => {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    (line, Vec::new())
                }
                false => (line, head.into_bytes()),
            }
        }
    };
    noted.lock().unwrap().push(line);
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    server.write_all(&sent_on).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

async fn read_head(first: u8, client: &mut impl Io) -> String {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The proxy's part of SOCKS5 after the first byte, with a name and a password.
async fn greet(client: &mut impl Io) -> String {
    client.read_exact(&mut [0; 2]).await.unwrap();
    client.write_all(&[5, 2]).await.unwrap();
    let mut user = [0; 11];
    client.read_exact(&mut user).await.unwrap();
    assert_eq!(&user, b"\x01\x04user\x04word");
    client.write_all(&[1, 0]).await.unwrap();
    let mut head = [0; 5];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..4], [5, 1, 0, 3], "a name, to be looked up there");
    let mut name = vec![0; usize::from(head[4])];
    client.read_exact(&mut name).await.unwrap();
    let port = client.read_u16().await.unwrap();
    let done = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    client.write_all(&done).await.unwrap();
    format!("SOCKS {}:{port}", String::from_utf8(name).unwrap())
}

async fn call(transport: &HttpTransport) -> u16 {
    let request = Request {
        path: "/a".into(),
        ..Request::default()
    };
    transport.call(request).await.unwrap().status.as_u16()
}

#[tokio::test]
async fn plain_servers_are_asked_with_whole_urls_or_through_a_tunnel() {
    let (port, server) = serve(None).await;
    let way = Way::to(port).await;
    let clock = stdx::Clock::system;
    let http = HttpTransport::new(&way.config("http", "http://far.test"), clock()).unwrap();
    assert_eq!(call(&http).await, 200);
    assert_eq!(way.asked(), ["GET http://far.test/a HTTP/1.1"]);
    upgrades(&http).await;
    assert_eq!(way.asked(), ["CONNECT far.test:80 HTTP/1.1"; 2]);

    let socks = HttpTransport::new(&way.config("socks5", "http://far.test:81"), clock()).unwrap();
    assert_eq!(call(&socks).await, 200);
    upgrades(&socks).await;
    assert_eq!(way.asked(), ["SOCKS far.test:81"; 3]);
    server.abort();
}

#[tokio::test]
async fn servers_with_tls_are_reached_through_a_tunnel() {
    let authority = Authority::new();
    let (port, server) = serve(Some(acceptor(&authority))).await;
    let (plain, secure) = (
        Way::to(port).await,
        Way::behind_tls(port, Some(acceptor(&authority))).await,
    );
    for (way, scheme, line) in [
        (&plain, "http", "CONNECT far.test:443 HTTP/1.1"),
        (&plain, "socks5", "SOCKS far.test:443"),
        (&secure, "https", "CONNECT far.test:443 HTTP/1.1"),
    ] {
        let config = trusting(&authority, way.config(scheme, "https://far.test"));
        let transport = HttpTransport::new(&config, stdx::Clock::system()).unwrap();
        assert_eq!(call(&transport).await, 200);
        upgrades(&transport).await;
        assert_eq!(way.asked(), [line; 3]);
    }
    server.abort();

    let (port, server) = serve(None).await;
    let way = Way::behind_tls(port, Some(acceptor(&authority))).await;
    let config = trusting(&authority, way.config("https", "http://far.test"));
    let transport = HttpTransport::new(&config, stdx::Clock::system()).unwrap();
    assert_eq!(call(&transport).await, 200);
    assert_eq!(way.asked(), ["GET http://far.test/a HTTP/1.1"]);
    server.abort();
}

fn trusting(authority: &Authority, config: HttpConfig) -> HttpConfig {
    let (certificate, key) = authority.issue("me");
    HttpConfig {
        ca: Some(Pem::Data(authority.0.pem().into_bytes())),
        tls_server_name: Some("127.0.0.1".into()),
        client_certificate: Some((
            Pem::Data(certificate.into_bytes()),
            Pem::Data(key.serialize_pem().into_bytes()),
        )),
        ..config
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = HttpConfig {
        server: "http://far.test".into(),
        proxies: Proxies::new("", &format!("http://127.0.0.1:{port}"), "").unwrap(),
        ..HttpConfig::default()
    };
    let transport = HttpTransport::new(&config, stdx::Clock::system()).unwrap();
    let refused = transport.call(Request::default()).await.map(drop);
    let text = crate::chain(&refused.unwrap_err());
    assert!(
        text.contains("proxyconnect tcp: Connection refused"),
        "{text}"
    );
}
