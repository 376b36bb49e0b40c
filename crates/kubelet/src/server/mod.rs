//! The kubelet's HTTPS door: a file per endpoint.
//!
//! Who knocks shows a certificate of the cluster's CA or a token; what they may
//! do is asked of the API server. Follows pkg/kubelet/server/server.go.

mod attach;
mod auth;
mod channels;
mod containers;
mod exec;
mod healthz;
mod idle;
mod logs;
mod metrics;
mod pods;
mod port_forward;
mod port_streams;
mod query;
mod run;
mod spdy_streams;
mod stats;
mod tls;
mod upgrade;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use rustls::server::ResolvesServerCert;
use stdx::Importance;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::doors::BoxError;
use crate::kubelet::Handle;
use crate::metrics as counters;
use auth::{Authority, Denied};
use idle::Idle;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// When a silent connection is asked whether anybody is there, and how often in
/// vain before it is given up.
const ASK_AFTER: Duration = Duration::from_secs(15);
const ASKS: u32 = 4;

/// What the binary hands in.
pub struct Door {
    /// The certificate that the kubelet shows, renewed behind this.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// The CAs whose client certificates are believed.
    pub client_ca: Vec<CertificateDer<'static>>,
}

/// The door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// TLS cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// The CA cannot be used.
    #[error("use the client CA")]
    ClientCa(#[source] BoxError),
}

/// A body of an answer.
type Body = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Response<Body>;

/// Opens the door: answers on the listener until the supervisor ends.
pub fn serve(handle: &Handle, listener: TcpListener, door: Door) -> Result<(), ServeError> {
    let acceptor = TlsAcceptor::from(tls::config(door.certificate)?);
    let authority = Authority::new(&handle.cx, &door.client_ca)?;
    let server = Arc::new(Server {
        handle: handle.clone(),
        authority,
        samples: stats::Samples::default(),
    });
    let supervisor = handle.cx.supervisor.clone();
    supervisor.spawn(
        "https",
        Importance::Essential,
        accept(server, listener, acceptor),
    );
    Ok(())
}

async fn accept(server: Arc<Server>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                server
                    .handle
                    .cx
                    .clock
                    .sleep(Duration::from_millis(100))
                    .await;
                continue;
            }
        };
        let (server, acceptor) = (Arc::clone(&server), acceptor.clone());
        let supervisor = server.handle.cx.supervisor.clone();
        supervisor.spawn("https connection", Importance::Ordinary, async move {
            if let Err(error) = connection(server, stream, acceptor).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

/// Small pieces go out at once, and a peer that is gone without a word is noticed.
fn set_options(stream: &TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, ASK_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, ASK_AFTER)?;
    sockopt::set_tcp_keepcnt(stream, ASKS)?;
    Ok(())
}

async fn connection(
    server: Arc<Server>,
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> Result<(), BoxError> {
    set_options(&stream)?;
    let clock = server.handle.cx.clock.clone();
    let stream = clock.timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificates: Arc<[CertificateDer<'static>]> = certificates.unwrap_or_default().into();
    let service = service_fn(move |request| {
        let (server, certificates) = (Arc::clone(&server), Arc::clone(&certificates));
        async move { Ok::<_, Infallible>(server.answer(request, &certificates).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
}

/// What the endpoints share.
struct Server {
    handle: Handle,
    authority: Authority,
    samples: stats::Samples,
}

impl Server {
    /// For one connection that streams.
    fn idle(&self) -> Idle {
        let cx = &self.handle.cx;
        Idle::new(cx.clock.clone(), cx.config.streaming_idle_timeout)
    }

    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        certificates: &[CertificateDer<'static>],
    ) -> Answer {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let answer = match self.authority.check(&request, certificates).await {
            Ok(()) => self.route(request).await,
            Err(Denied::Unauthenticated) => text(StatusCode::UNAUTHORIZED, "Unauthorized"),
            Err(Denied::Forbidden(message)) => text(StatusCode::FORBIDDEN, message),
            Err(Denied::Unknown(message)) => text(StatusCode::INTERNAL_SERVER_ERROR, message),
        };
        let root = path.split('/').nth(1).unwrap_or_default();
        let status = answer.status().as_u16();
        self.handle.cx.metrics.count(
            counters::HTTP_REQUESTS,
            format!("method=\"{method}\",path=\"{root}\",code=\"{status}\""),
        );
        answer
    }

    async fn route(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let method = request.method();
        let get = method == Method::GET || method == Method::HEAD;
        let stream = get || method == Method::POST;
        match segments.as_slice() {
            ["healthz", ..] if get => healthz::answer(self),
            ["pods"] if get => pods::answer(self),
            ["runningpods"] if get => pods::running(self).await,
            ["metrics"] if get => metrics::answer(self),
            ["metrics", "resource"] if get => metrics::resource(self).await,
            ["metrics", "probes"] if get => metrics::answer(self),
            ["stats", "summary"] if get => stats::answer(self).await,
            ["containerLogs", namespace, pod, container] if get => {
                logs::answer(self, &request, namespace, pod, container).await
            }
            ["exec", rest @ ..] if stream => exec::answer(self, request, rest).await,
            ["attach", rest @ ..] if stream => attach::answer(self, request, rest).await,
            ["portForward", rest @ ..] if stream => port_forward::answer(self, request, rest).await,
            ["run", rest @ ..] if method == Method::POST => run::answer(self, &request, rest).await,
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }
}

/// An answer in plain words.
fn text(status: StatusCode, words: impl Into<String>) -> Answer {
    whole(status, "text/plain; charset=utf-8", words.into())
}

/// An answer in JSON.
fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    whole(status, "application/json", value.to_string())
}

fn whole(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests;
