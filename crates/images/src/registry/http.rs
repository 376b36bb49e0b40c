//! HTTP/1.1 to registries, with time limits on everything that a registry can
//! be slow with.

use std::{error::Error as StdError, io, time::Duration};

use bytes::Bytes;
use detour::{Proxies, Proxy};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use stdx::Clock;

use super::{
    config::{ConfigError, Registries},
    connect::{CONNECT, ConnectError, Connector},
};

/// How long a registry may say nothing, before an answer or within one.
/// Upstream gives up a pull that has not moved for a minute.
const SILENCE: Duration = Duration::from_secs(60);

/// What is sent with a request.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Other(String),
    #[error("the registry said nothing for {}s", SILENCE.as_secs())]
    Silent,
}

/// Makes requests. Connections are kept for the next.
pub(super) struct Http {
    client: Client<Connector, Body>,
    proxies: Proxies,
    clock: Clock,
}

impl Http {
    pub(super) fn new(
        registries: &Registries,
        proxies: Proxies,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let connector = Connector::new(registries, proxies.clone(), clock.clone())?;
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(4)
            .build(connector);
        Ok(Self {
            client,
            proxies,
            clock,
        })
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Failure> {
        // Within a tunnel it is the registry that reads the headers.
        if request.uri().scheme_str() == Some("http")
            && let Some(shown) = self.proxies.of(request.uri()).and_then(Proxy::shown)
        {
            let headers = request.headers_mut();
            headers.insert(header::PROXY_AUTHORIZATION, shown);
        }
        let answer = self
            .clock
            .timeout(CONNECT + SILENCE, self.client.request(request));
        match answer.await {
            Err(_) => Err(Failure::Silent),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(explain(error)),
        }
    }

    /// The next bytes of an answer; none at its end.
    pub(super) async fn chunk(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = self.clock.timeout(SILENCE, body.frame());
            match frame.await {
                Err(_) => return Err(Failure::Silent),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Failure::Other(crate::chain(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// A whole answer, if it is not larger than `max`; its start otherwise.
    pub(super) async fn whole(
        &self,
        body: &mut Incoming,
        max: u64,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let mut content = Vec::new();
        while let Some(data) = self.chunk(body).await? {
            content.extend_from_slice(&data);
            if content.len() as u64 > max {
                return Ok((content, false));
            }
        }
        Ok((content, true))
    }
}

/// A body of bytes at hand.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn explain(error: hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(connect) = inner.downcast_ref::<ConnectError>() {
            return Failure::Connect(connect.copy());
        }
        cause = inner.source();
    }
    Failure::Other(crate::chain(&error))
}
