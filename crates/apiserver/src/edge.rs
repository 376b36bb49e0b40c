//! The sockets: TLS, HTTP/1.1 and HTTP/2, one task a connection. Makes an
//! [`Inbound`] of what comes in and bytes of what goes out.

use crate::answer::{Answer, Body};
use crate::server::Server;
use crate::stack::Inbound;
use crate::{negotiate, present};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::HeaderValue;
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use meta::{Reason, Status};
use registry::Notice;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest body of a request, as upstream's server limits it.
pub const BODY_MAX: usize = 3 * 1024 * 1024;
/// How long a client may take over its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take over a request's head.
const HEAD: Duration = Duration::from_secs(32);
/// How many streams one HTTP/2 connection may have.
const STREAMS_MAX: u32 = 250;

type Response =
    http::Response<Either<Full<Bytes>, StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>>>;

/// Serves connections until the token is cancelled, then lets those under way
/// finish what they are doing.
pub async fn serve(
    server: Arc<Server>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((socket, _)) => {
                let connection = connection(server.clone(), socket, acceptor.clone(), stop.clone());
                connections.spawn(connection);
            }
            Err(error) => {
                // Out of descriptors, most likely: others must end first.
                tracing::warn!(%error, "accepting a connection failed");
                server
                    .registry
                    .clock()
                    .sleep(Duration::from_millis(50))
                    .await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(
    server: Arc<Server>,
    socket: TcpStream,
    acceptor: TlsAcceptor,
    stop: CancellationToken,
) {
    let _ = socket.set_nodelay(true);
    let shaken = server
        .registry
        .clock()
        .timeout(HANDSHAKE, acceptor.accept(socket))
        .await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = Arc::new(chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>());
    let service = service_fn(move |request| {
        let (server, certificates) = (server.clone(), certificates.clone());
        async move { Ok::<_, Infallible>(respond(&server, request, certificates).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(15))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(1024 * 1024);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            // Watches do not end by themselves.
            let _ = tokio::time::timeout(Duration::from_secs(2), serving).await;
            return;
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(error = %error, "a connection broke");
    }
}

async fn respond(
    server: &Arc<Server>,
    request: http::Request<Incoming>,
    certificates: Arc<Vec<Vec<u8>>>,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let plain = negotiate::plain(&parts.headers);
    let body = match Limited::new(body, BODY_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {BODY_MAX}");
            let status = Status::new(Reason::RequestEntityTooLarge, message);
            return encode(present::status(plain, status));
        }
        Err(error) => {
            let status = Status::bad_request(format!("reading the body failed: {error}"));
            return encode(present::status(plain, status));
        }
    };
    let inbound = Inbound {
        method: parts.method,
        path: parts.uri.path().to_string(),
        query: parts.uri.query().unwrap_or_default().to_string(),
        headers: parts.headers,
        body,
        user: None,
        certificates,
        upgrade,
    };
    encode(server.handle(inbound).await)
}

/// HTTP of an answer.
fn encode(answer: Answer) -> Response {
    let body = match answer.body {
        Body::Full(bytes) => Either::Left(Full::new(bytes)),
        Body::Pieces(pieces) => stream(pieces.map(Ok).boxed()),
        Body::Notices(notices) => stream(notices.map(|notice| Ok(frame(&notice))).boxed()),
        Body::Foreign(pieces) => stream(pieces),
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
        .headers_mut()
        .entry(http::header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    response
}

fn stream<T>(
    pieces: BoxStream<'static, io::Result<Bytes>>,
) -> Either<T, StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>> {
    Either::Right(StreamBody::new(
        pieces.map(|piece| piece.map(Frame::data)).boxed(),
    ))
}

/// One event as it goes over the wire.
fn frame(notice: &Notice) -> Bytes {
    let kind = notice.kind.as_str();
    let mut out = BytesMut::with_capacity(notice.object.len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(&notice.object);
    out.put_slice(b"}\n");
    out.freeze()
}
