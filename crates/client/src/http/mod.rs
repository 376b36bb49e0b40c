//! The transport over a socket: HTTP/1.1 and HTTP/2, plain or TLS, with the identity of a client
//! certificate or a bearer token. Credentials in files are read again when the files change.

mod config;
mod connect;
mod credentials;
mod kubeconfig;
mod upgrade;

pub use config::{HttpConfig, HttpConfigError, Pem, Token};
pub use detour::{Proxies, Proxy, ProxyError};
pub use kubeconfig::{Kubeconfig, KubeconfigError};
pub use upgrade::Upgrade;

use crate::transport::{Body, BoxError, Request, Response, Transport, TransportError};
use bytes::Bytes;
use connect::Connector;
use credentials::Bearer;
use futures::StreamExt;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyDataStream, BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// What is sent: all of it at hand, or in pieces as they come.
type Outgoing = Either<Full<Bytes>, UnsyncBoxBody<Bytes, BoxError>>;

/// A connection pool to one API server.
pub struct HttpTransport {
    client: legacy::Client<Connector, Outgoing>,
    upgrades: Connector,
    proxies: Proxies,
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    prefix: String,
    bearer: Option<Bearer>,
}

impl HttpTransport {
    /// Prepares the transport; connections are made when they are needed.
    pub fn new(config: &HttpConfig, clock: stdx::Clock) -> Result<Self, HttpConfigError> {
        let (scheme, authority, prefix) = config.address()?;
        let connector = Connector::new(config)?;
        let upgrades = connector.clone().for_upgrades();
        // Follows client-go's HTTP/2 health check: a ping after 30 s of silence, 15 s for its answer.
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(90))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(15))
            .build(connector);
        let bearer = config.token.clone().map(|token| Bearer::new(token, clock));
        Ok(Self {
            client,
            upgrades,
            proxies: config.proxies.clone(),
            scheme,
            authority,
            prefix,
            bearer,
        })
    }

    fn form(&self, request: Request) -> Result<http::Request<Outgoing>, TransportError> {
        let path = format!("{}{}", self.prefix, request.path);
        let form = |source: http::Error| TransportError::Form {
            path: request.path.clone(),
            source: source.into(),
        };
        let uri = http::Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path);
        let mut formed = http::Request::new(Either::Left(Full::new(request.body.clone())));
        *formed.method_mut() = request.method.clone();
        *formed.uri_mut() = uri.build().map_err(form)?;
        *formed.headers_mut() = request.headers;
        if let Some(bearer) = &self.bearer
            && !formed.headers().contains_key(AUTHORIZATION)
        {
            formed.headers_mut().insert(AUTHORIZATION, bearer.header()?);
        }
        Ok(formed)
    }
}

#[async_trait::async_trait]
impl Transport for HttpTransport {
    async fn call(&self, request: Request) -> Result<Response, TransportError> {
        // What may have no end comes in pieces.
        let is_watch = request.path.contains("watch=true") || request.path.contains("follow=true");
        let response = self.open(self.form(request)?).await?;
        let (head, body) = response.into_parts();
        let body = if is_watch {
            pieces(body)
        } else {
            Body::Full(whole(body).await?)
        };
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

impl HttpTransport {
    /// The same as a call, but the request's body is sent as it comes and so is the answer's,
    /// which need not wait for it.
    pub async fn relay<B>(&self, request: Request, body: B) -> Result<Response, TransportError>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut formed = self.form(request)?;
        if !body.is_end_stream() {
            let body = body.map_err(Into::into).boxed_unsync();
            *formed.body_mut() = Either::Right(body);
        }
        let (head, body) = self.open(formed).await?.into_parts();
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body: pieces(body),
        })
    }

    async fn open(
        &self,
        mut request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, TransportError> {
        // Within a tunnel it is the server that reads the headers.
        if self.scheme == http::uri::Scheme::HTTP
            && let Some(proxy) = self.proxies.of(request.uri()).filter(|p| p.passes_on())
            && let Some(shown) = proxy.shown()
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, shown);
        }
        let response = self.client.request(request).await;
        response.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: legacy::Error) -> TransportError {
        let address = self.authority.to_string();
        if error.is_connect() {
            return TransportError::Connect {
                address,
                source: error.into(),
            };
        }
        TransportError::Exchange {
            address,
            source: error.into(),
        }
    }
}

fn pieces(body: Incoming) -> Body {
    let pieces = BodyDataStream::new(body)
        .map(|piece| piece.map_err(|error| TransportError::Body(error.into())));
    Body::Stream(pieces.boxed())
}

async fn whole(body: Incoming) -> Result<Bytes, TransportError> {
    let collected = body
        .collect()
        .await
        .map_err(|error| TransportError::Body(error.into()))?;
    Ok(collected.to_bytes())
}

#[cfg(test)]
mod proxied;
#[cfg(test)]
mod tests;
