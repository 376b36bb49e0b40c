//! The proxy's own side: which path leads to the API server, and which to files.

use super::files;
use super::filter::Filter;
use super::relay::Relay;
use crate::error::{Result, said};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// What is answered.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, client::TransportError>>;

/// A proxy that is served.
pub(super) struct Server {
    pub(super) relay: Relay,
    pub(super) filter: Option<Filter>,
    /// Whether the prefix is none of the API server's own.
    pub(super) strips: bool,
    pub(super) api_prefix: String,
    /// A prefix and the folder of its files.
    pub(super) files: Option<(String, PathBuf)>,
    pub(super) keepalive: Option<Duration>,
}

impl Server {
    /// Serves until the program ends.
    pub(super) async fn serve(self, listener: TcpListener) -> Result {
        let server = Arc::new(self);
        loop {
            let (connection, _) = listener
                .accept()
                .await
                .or_else(|e| said(format!("accept: {e}")))?;
            if let Some(period) = server.keepalive {
                // A connection that is not asked after is one all the same.
                let _ = sockopt::set_socket_keepalive(&connection, true)
                    .and_then(|()| sockopt::set_tcp_keepidle(&connection, period));
            }
            spawn(&server, connection);
        }
    }

    /// The same on a socket of the file system.
    pub(super) async fn serve_unix(self, listener: UnixListener) -> Result {
        let server = Arc::new(self);
        loop {
            let (connection, _) = listener
                .accept()
                .await
                .or_else(|e| said(format!("accept: {e}")))?;
            spawn(&server, connection);
        }
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_string();
        if let Some((prefix, folder)) = &self.files
            && (!self.api_prefix.starts_with(prefix) || !path.starts_with(&self.api_prefix))
            && let Some(below) = path.strip_prefix(prefix.as_str())
        {
            return files::answer(&request, folder, below);
        }
        if format!("{path}/") == self.api_prefix {
            return moved(&self.api_prefix);
        }
        let Some(below) = path.strip_prefix(self.api_prefix.as_str()) else {
            return text(StatusCode::NOT_FOUND, "404 page not found");
        };
        if self.strips && !aim(&mut request, below) {
            return text(StatusCode::NOT_FOUND, "404 page not found");
        }
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (method, path) = (request.method().as_str(), request.uri().path());
        if let Some(filter) = &self.filter
            && !filter.accepts(method, path, host)
        {
            return text(StatusCode::FORBIDDEN, "Forbidden");
        }
        self.relay.pass(request).await
    }
}

fn spawn(server: &Arc<Server>, connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let server = server.clone();
    tokio::spawn(async move {
        let answer = service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let http = hyper::server::conn::http1::Builder::new();
        let serving = http.serve_connection(TokioIo::new(connection), answer);
        // Who hangs up has heard enough.
        let _ = serving.with_upgrades().await;
    });
}

/// Changes a request's path, and keeps its query.
fn aim(request: &mut Request<Incoming>, below: &str) -> bool {
    let query = request.uri().query();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    match format!("/{}{query}", below.trim_start_matches('/')).parse() {
        Ok(uri) => {
            *request.uri_mut() = uri;
            true
        }
        Err(_) => false,
    }
}

/// A line of text, as Go's `http.Error` writes it.
pub(super) fn text(status: StatusCode, line: &str) -> Answer {
    let mut answer = body(format!("{line}\n"));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// An answer with a whole body.
pub(super) fn body(bytes: impl Into<Bytes>) -> Answer {
    let body = Full::new(bytes.into()).map_err(|never| match never {});
    Response::new(body.boxed_unsync())
}

/// It is to be found elsewhere.
pub(super) fn moved(to: &str) -> Answer {
    let mut answer = body(Bytes::new());
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(header::LOCATION, to);
    }
    answer
}
