//! Requests that are passed on to the API server under the user's identity, upgrades among them.
//!
//! Follows apimachinery/pkg/util/proxy/upgradeaware.go and Go's httputil.ReverseProxy.

use super::server::{Answer, text};
use crate::api::Api;
use crate::error::{Result, said};
use crate::streaming::log_line;
use client::http::Upgrade;
use client::{Body, HttpTransport, Response as Reply};
use futures::TryStreamExt as _;
use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

/// What is moved at a time over a connection that was upgraded.
const PIECE: usize = 64 << 10;
/// What is meant for one connection only.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What lets pages of others read answers; the API server's own are not meant for that here.
const OF_OTHER_PAGES: [HeaderName; 5] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// The API server, for requests of others.
pub(super) struct Relay {
    transport: HttpTransport,
    identity: HeaderMap,
}

impl Relay {
    /// Over connections of its own.
    pub(super) fn new(api: &Api, append_server_path: bool) -> Result<Self> {
        let mut config = api.connection.http.clone();
        if !append_server_path && let Some((bare, path)) = path_of(&config.server) {
            log_line::warning(&format!(
                "Your kube context contains a server path {path}, use --append-server-path to automatically append the path to each request"
            ));
            config.server = bare;
        }
        let transport = HttpTransport::new(&config, stdx::Clock::system())
            .or_else(|error| said(client::chain(&error)))?;
        let mut identity = api.identity().clone();
        identity.remove(header::USER_AGENT);
        Ok(Relay {
            transport,
            identity,
        })
    }

    /// Passes a request on, and what is answered back.
    pub(super) async fn pass(&self, request: Request<Incoming>) -> Answer {
        let asked = request.headers().get(CONNECTION);
        let asked = asked
            .and_then(|asked| asked.to_str().ok())
            .unwrap_or_default();
        let done = match asked.to_ascii_lowercase().contains("upgrade") {
            true => self.pass_upgrade(request).await,
            false => self.pass_plain(request).await,
        };
        done.unwrap_or_else(|why| {
            log_line::error("Error while proxying request", &why, &[]);
            text(StatusCode::INTERNAL_SERVER_ERROR, &why)
        })
    }

    async fn pass_plain(&self, request: Request<Incoming>) -> std::result::Result<Answer, String> {
        let (head, body) = request.into_parts();
        let mut headers = self.headers(head.headers);
        OF_THE_CONNECTION
            .iter()
            .for_each(|name| drop(headers.remove(name)));
        let request = client::Request {
            method: head.method,
            path: target(&head.uri),
            headers,
            ..client::Request::default()
        };
        let reply = self.transport.relay(request, body).await;
        reply.map(answer).map_err(|error| client::chain(&error))
    }

    async fn pass_upgrade(
        &self,
        mut request: Request<Incoming>,
    ) -> std::result::Result<Answer, String> {
        let asked = client::Request {
            method: request.method().clone(),
            path: target(request.uri()),
            headers: self.headers(request.headers().clone()),
            ..client::Request::default()
        };
        let upgraded = self.transport.upgrade(asked).await;
        let (headers, mut server) = match upgraded.map_err(|error| client::chain(&error))? {
            Upgrade::Refused(reply) => return Ok(answer(reply)),
            Upgrade::Switched(headers, server) => (headers, server),
        };
        let client = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(client) = client.await {
                // Either side ends it.
                let mut client = TokioIo::new(client);
                let copied = copy_bidirectional_with_sizes(&mut client, &mut *server, PIECE, PIECE);
                let _ = copied.await;
            }
        });
        let mut switching = super::server::body("");
        *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *switching.headers_mut() = headers;
        Ok(switching)
    }

    /// The client's headers, and who the user is.
    fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        headers.extend(self.identity.clone());
        headers
    }
}

/// A server without its path, and the path, if it has one.
fn path_of(server: &str) -> Option<(String, String)> {
    let (scheme, rest) = server.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/');
    (!path.is_empty()).then(|| (format!("{scheme}://{host}"), format!("/{path}")))
}

fn target(uri: &http::Uri) -> String {
    uri.path_and_query()
        .map_or("/", |path| path.as_str())
        .to_string()
}

fn answer(reply: Reply) -> Answer {
    let Body::Stream(pieces) = reply.body else {
        return text(
            StatusCode::BAD_GATEWAY,
            "the answer does not come in pieces",
        );
    };
    let body = StreamBody::new(pieces.map_ok(Frame::data));
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = reply.status;
    let mut headers = reply.headers;
    for name in OF_THE_CONNECTION.iter().chain(&OF_OTHER_PAGES) {
        headers.remove(name);
    }
    *answer.headers_mut() = headers;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::proxy::server::Server;
    use crate::config::Connection;
    use client::HttpConfig;
    use hyper::service::service_fn;
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn servers_below_a_path_are_known() {
        assert_eq!(path_of("https://a:6443"), None);
        assert_eq!(path_of("https://a:6443/"), None);
        let (bare, path) = path_of("https://a/k8s/one/").expect("a path");
        assert_eq!((bare.as_str(), path.as_str()), ("https://a", "/k8s/one"));
    }

    async fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        (listener, port)
    }

    /// A server that says everything that it hears, as it hears it.
    async fn echo() -> u16 {
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let answer = service_fn(|request: Request<Incoming>| async {
                    let length = request.headers().get(header::CONTENT_LENGTH).cloned();
                    let mut answer = Response::new(request.into_body());
                    if let Some(length) = length {
                        answer.headers_mut().insert("x-length", length);
                    }
                    Ok::<_, Infallible>(answer)
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(tcp), answer));
            }
        });
        port
    }

    async fn proxy(server: u16) -> TcpStream {
        let http = HttpConfig {
            server: format!("http://127.0.0.1:{server}"),
            ..HttpConfig::default()
        };
        let connection = Connection {
            http,
            basic: None,
            impersonate: Vec::new(),
        };
        let api = Api::new(connection, None, 0).expect("a connection");
        let server = Server {
            relay: Relay::new(&api, false).expect("a relay"),
            filter: None,
            strips: true,
            api_prefix: "/".into(),
            files: None,
            keepalive: None,
        };
        let (listener, port) = listen().await;
        tokio::spawn(server.serve(listener));
        TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("the proxy")
    }

    async fn hear(client: &mut TcpStream, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let next = tokio::time::timeout(Duration::from_secs(20), client.read_u8());
            let next = next.await.expect("what was sent is heard at once");
            heard.push(next.expect("something to hear"));
        }
        String::from_utf8(heard).expect("text")
    }

    #[tokio::test]
    async fn bodies_go_both_ways_while_they_come() {
        let mut client = proxy(echo().await).await;
        let head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(head.as_bytes()).await.expect("a head");
        for word in ["one", "two"] {
            let piece = format!("3\r\n{word}\r\n");
            client.write_all(piece.as_bytes()).await.expect("a piece");
            hear(&mut client, &piece).await;
        }
        client.write_all(b"0\r\n\r\n").await.expect("the end");
        hear(&mut client, "0\r\n\r\n").await;

        let whole = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend";
        client.write_all(whole).await.expect("a request");
        let heard = hear(&mut client, "end").await;
        assert!(heard.contains("x-length: 3"), "the length is kept: {heard}");
    }
}
