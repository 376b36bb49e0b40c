//! A small HTTP server: one answer for each path, to whoever asks.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use stdx::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tracing::debug;

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 64;
/// How long a connection may last.
const LIFE: Duration = Duration::from_secs(60);

/// What is said.
pub(super) struct Answer {
    status: StatusCode,
    body: String,
    media_type: &'static str,
    /// How much of the traffic the node wants.
    weight: Option<usize>,
}

impl Answer {
    pub(super) fn new(is_good: bool, body: String) -> Self {
        Self {
            status: match is_good {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            },
            body,
            media_type: "application/json",
            weight: None,
        }
    }

    /// Tells how much of the traffic the node wants.
    pub(super) fn weight(mut self, weight: usize) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Nothing is there.
    pub(super) fn absent() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            body: "404 page not found\n".to_owned(),
            media_type: "text/plain; charset=utf-8",
            weight: None,
        }
    }

    #[cfg(test)]
    pub(super) fn shown_weight(&self) -> (u16, Option<usize>) {
        (self.status.as_u16(), self.weight)
    }

    #[cfg(test)]
    pub(super) fn shown(&self) -> (u16, &str) {
        (self.status.as_u16(), &self.body)
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = header::HeaderValue::from_static(self.media_type);
        headers.insert(header::CONTENT_TYPE, media_type);
        let no_sniffing = header::HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniffing);
        if let Some(weight) = self.weight {
            headers.insert("x-load-balancing-endpoint-weight", weight.into());
        }
        response
    }
}

/// Serves until dropped.
pub(super) async fn serve<F>(listener: TcpListener, clock: Clock, answer: F)
where
    F: Fn(&str) -> Answer + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, clock.clone(), Arc::clone(&answer)));
            }
            Err(error) => {
                debug!(%error, "a connection was not taken");
                clock.sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse<F>(stream: TcpStream, clock: Clock, answer: Arc<F>)
where
    F: Fn(&str) -> Answer + Send + Sync + 'static,
{
    let respond = move |request: Request<Incoming>| {
        let response = answer(request.uri().path()).into_response();
        async move { Ok::<_, Infallible>(response) }
    };
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None);
    let connection = builder.serve_connection(TokioIo::new(stream), service_fn(respond));
    // Whoever hangs up or stays too long asks again.
    let _ = clock.timeout(LIFE, connection).await;
}
