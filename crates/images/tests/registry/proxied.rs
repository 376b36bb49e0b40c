//! Registries behind a proxy: one of our own, which notes what it is asked.

use std::sync::{Arc, Mutex};

use images::{build::Pack, registry::Proxies};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{Node, fake::Fake, real, recipe, user};

/// `user:word`, in base64.
const SHOWN: &str = "proxy-authorization: basic dxnlcjp3b3jk";

/// Leads everybody who shows the password to one server, whatever its name.
struct Way {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, noted) = (server.clone(), Arc::clone(&noted));
                tokio::spawn(lead(stream, server, noted));
            }
        });
        Self { port, asked }
    }

    fn proxies(&self, user: &str) -> Proxies {
        let url = format!("http://{user}127.0.0.1:{}", self.port);
        Proxies::new(&url, &url, "").unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn lead(stream: TcpStream, server: String, noted: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some((line, head)) = read_head(&mut stream).await {
        noted.lock().unwrap().push(line.clone());
        if !head.to_ascii_lowercase().contains(SHOWN) {
            let refusal =
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(refusal).await;
            return;
        }
        let mut to = TcpStream::connect(&server).await.unwrap();
        if line.starts_with("CONNECT ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut to).await;
            return;
        }
        // `GET http://host/path HTTP/1.1` becomes `GET /path HTTP/1.1`.
        let (method, url) = line.split_once(" http://").expect("a whole URL");
        let path = &url[url.find('/').unwrap()..];
        let request = format!("{method} {path}\r\n{head}\r\n");
        to.write_all(request.as_bytes()).await.unwrap();
        to.shutdown().await.unwrap();
        let mut answer = Vec::new();
        to.read_to_end(&mut answer).await.unwrap();
        let _ = stream.write_all(&answer).await;
    }
}

/// The first line of a request, and its headers.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok()?;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return Some((first.trim_end().to_owned(), head));
        }
        head.push_str(&line);
    }
}

#[tokio::test]
async fn a_tunnel_leads_to_a_registry_with_tls() {
    let node = Node::new();
    let Some(registry) = real::Registry::start(node.path(), true) else {
        return;
    };
    let archive = real::archive(&node, Pack::Gzip);
    registry.push(&archive, "app:1", &["--dest-creds", "user:secret"]);
    let way = Way::to(registry.address.clone()).await;
    let at = registry.directory.display();
    let trusting = format!("configs: {{'registry.test': {{tls: {{ca_file: '{at}/ca.pem'}}}}}}");
    let secret = [user("registry.test", "user", "secret")];
    let pull = |proxies| node.pull_through(proxies, &trusting, "registry.test/app:1", &secret);
    let error = pull(way.proxies("")).await.unwrap_err().to_string();
    assert!(
        error.contains("proxyconnect tcp") && error.contains("proxy authorization required"),
        "{error}"
    );
    let image = pull(way.proxies("user:word@")).await.unwrap();
    assert_eq!(node.read(&image, "hello"), "hello\n");
    let asked = way.asked();
    let is_tunnel = |line: &String| line == "CONNECT registry.test:443 HTTP/1.1";
    assert!(asked.iter().all(is_tunnel), "{asked:?}");
}

#[tokio::test]
async fn a_plain_registry_is_asked_with_whole_urls() {
    let (node, fake) = (Node::new(), Fake::start().await);
    fake.image(&recipe("app:1", Pack::Gzip), "app", "1");
    let way = Way::to(fake.address.to_string()).await;
    let mirrors = "mirrors: {'registry.test:5000': {endpoint: ['http://registry.test:5000']}}";
    let name = "registry.test:5000/app:1";
    let pull = |proxies| node.pull_through(proxies, mirrors, name, &[]);
    let error = pull(way.proxies("")).await.unwrap_err().to_string();
    assert!(
        error.contains("407 Proxy Authentication Required"),
        "{error}"
    );
    let image = pull(way.proxies("user:word@")).await.unwrap();
    assert_eq!(node.read(&image, "hello"), "hello\n");
    let asked = way.asked();
    let is_whole = |line: &String| line.contains(" http://registry.test:5000/v2/app/");
    assert!(asked.iter().all(is_whole), "{asked:?}");
}
