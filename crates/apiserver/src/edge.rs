//! The sockets: TLS, HTTP/1.1 and HTTP/2, one task a connection. Makes an
//! [`Inbound`] of what comes in and bytes of what goes out.

use crate::answer::{Answer, Body};
use crate::gather::gather;
use crate::request::{Query, RequestInfo};
use crate::server::Server;
use crate::stack::Inbound;
use crate::{negotiate, present};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderValue, Method};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use meta::{Reason, Status};
use registry::Notice;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest body of a request, as upstream's server limits it.
pub const BODY_MAX: usize = 3 * 1024 * 1024;
/// How long a client may take over its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take over a request's head, and over its first request.
const HEAD: Duration = Duration::from_secs(32);
/// How long a client may take over a request's body: as long as upstream lets
/// a request take as a whole.
const BODY: Duration = Duration::from_secs(60);
/// How much of a body that is too large is read all the same, and for how long.
const DRAINED_MAX: usize = 4 * BODY_MAX;
const DRAIN: Duration = Duration::from_secs(2);
/// When a silent connection is asked whether anybody is there, how often
/// again, and how often in vain before it is given up.
const ASK_AFTER: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_secs(15);
const ASKS: u32 = 4;
/// Connections may take so many of hundred descriptors; the rest is for the
/// store, the node and whoever waits in line.
const DESCRIPTORS_PERCENT: u64 = 60;
/// How many streams one HTTP/2 connection may have.
const STREAMS_MAX: u32 = 250;
/// How many events of a watch go out together when so many are ready.
const EVENTS_TOGETHER: usize = 32;

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
    let places = Arc::new(Semaphore::new(connections_max()));
    loop {
        let place_and_socket = async {
            let place = places.clone().acquire_owned().await;
            listener.accept().await.map(|(socket, _)| (place, socket))
        };
        let accepted = tokio::select! {
            accepted = place_and_socket => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((place, socket)) => {
                let connection = connection(server.clone(), socket, acceptor.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
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

/// How many connections there may be at once.
fn connections_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let descriptors = limit.current.unwrap_or(1 << 20);
    let places = descriptors.saturating_mul(DESCRIPTORS_PERCENT) / 100;
    usize::try_from(places)
        .unwrap_or(usize::MAX)
        .clamp(16, Semaphore::MAX_PERMITS)
}

/// Small pieces go out at once, and a peer that is gone without a word is
/// noticed. A socket that refuses is no worse for it.
fn set_options(socket: &TcpStream) {
    use rustix::net::sockopt;
    let _ = socket.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, ASK_AFTER);
    let _ = sockopt::set_tcp_keepintvl(socket, ASK_EVERY);
    let _ = sockopt::set_tcp_keepcnt(socket, ASKS);
}

async fn connection(
    server: Arc<Server>,
    socket: TcpStream,
    acceptor: TlsAcceptor,
    stop: CancellationToken,
) {
    set_options(&socket);
    let clock = server.registry.clock().clone();
    let shaken = clock.timeout(HANDSHAKE, acceptor.accept(socket)).await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = Arc::new(chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>());
    let has_asked = CancellationToken::new();
    let asks = has_asked.clone();
    let service = service_fn(move |request| {
        let (server, certificates) = (server.clone(), certificates.clone());
        asks.cancel();
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
    let many_at_once = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (stream, turns) = gather(stream, many_at_once);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let outcome = tokio::select! {
        outcome = poll_fn(|cx| turns.poll_turn(serving.as_mut(), cx)) => outcome,
        () = silence(&clock, &has_asked) => {
            return tracing::debug!("a client came in and asked nothing");
        }
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            // Watches do not end by themselves.
            let ending = poll_fn(|cx| turns.poll_turn(serving.as_mut(), cx));
            let _ = tokio::time::timeout(Duration::from_secs(2), ending).await;
            return;
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(error = %error, "a connection broke");
    }
}

/// Ends when nothing is asked for too long after the handshake.
async fn silence(clock: &Clock, has_asked: &CancellationToken) {
    if clock.timeout(HEAD, has_asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
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
    let waits = parts.headers.contains_key(http::header::EXPECT);
    let (body, incoming) = if is_for_another(&parts.method, parts.uri.path()) {
        (Bytes::new(), Some(body))
    } else {
        match receive(server.registry.clock(), body, waits).await {
            Ok(body) => (body, None),
            Err(status) => return encode(present::status(plain, status)),
        }
    };
    let inbound = Inbound {
        method: parts.method,
        path: parts.uri.path().to_string(),
        query: parts.uri.query().unwrap_or_default().to_string(),
        headers: parts.headers,
        body,
        incoming,
        user: None,
        certificates,
        upgrade,
    };
    encode(server.handle(inbound).await)
}

/// Whether a body is passed on to another server, which knows how much it takes.
fn is_for_another(method: &Method, path: &str) -> bool {
    path.contains("/proxy")
        && RequestInfo::parse(method, path, &Query::parse("")).subresource == "proxy"
}

/// Reads a body, which may be neither too large nor too slow.
async fn receive(clock: &Clock, mut body: Incoming, waits: bool) -> Result<Bytes, Status> {
    if body.size_hint().lower() > BODY_MAX as u64 {
        // Who asks first whether to send it need not.
        if !waits {
            drain(clock, body).await;
        }
        return Err(too_large());
    }
    let limited = Limited::new(&mut body, BODY_MAX).collect();
    match clock.timeout(BODY, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drain(clock, body).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(Status::bad_request(format!(
            "reading the body failed: {error}"
        ))),
        Err(_) => Err(Status::new(
            Reason::Timeout,
            "Timeout: request did not complete within the allotted timeout",
        )),
    }
}

fn too_large() -> Status {
    let message = format!("Request entity too large: limit is {BODY_MAX}");
    Status::new(Reason::RequestEntityTooLarge, message)
}

/// Reads on for a while: a client that is cut off while it sends does not hear
/// the answer.
async fn drain(clock: &Clock, mut body: Incoming) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAINED_MAX {
                break;
            }
        }
    };
    let _ = clock.timeout(DRAIN, reading).await;
}

/// HTTP of an answer.
fn encode(answer: Answer) -> Response {
    let body = match answer.body {
        Body::Full(bytes) => Either::Left(Full::new(bytes)),
        Body::Pieces(pieces) => stream(pieces.map(Ok).boxed()),
        Body::Notices(notices) => {
            let ready = notices.ready_chunks(EVENTS_TOGETHER);
            stream(ready.map(|notices| Ok(together(notices))).boxed())
        }
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

/// Events that are ready at the same time, as one piece: each piece is a frame
/// of HTTP/2, whose price is that of several events.
fn together(notices: Vec<Notice>) -> Bytes {
    match notices.as_slice() {
        [one] => one.frame.clone(),
        several => {
            let length = several.iter().map(|notice| notice.frame.len()).sum();
            let mut piece = Vec::with_capacity(length);
            several
                .iter()
                .for_each(|notice| piece.extend_from_slice(&notice.frame));
            piece.into()
        }
    }
}

fn stream<T>(
    pieces: BoxStream<'static, io::Result<Bytes>>,
) -> Either<T, StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>> {
    Either::Right(StreamBody::new(
        pieces.map(|piece| piece.map(Frame::data)).boxed(),
    ))
}
