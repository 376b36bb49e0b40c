//! The client: one exchange at a time over the transport, with refusals made into errors.

use crate::api::Api;
use crate::error::Error;
use crate::path::Gvr;
use crate::resource::Resource;
use crate::transport::{Body, Request, Response, Transport, TransportError};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use typed::meta::{Status, StatusDetails};
use typed::{Typed, Wire};

/// A client of the API server, under the transport's identity. Clones share the transport.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    user_agent: HeaderValue,
}

impl Client {
    /// A client over a transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            user_agent: HeaderValue::from_static("tiphys"),
        }
    }

    /// The same client under another `User-Agent`, which also names the default field manager.
    /// What cannot stand in a header is left out.
    #[must_use]
    pub fn with_user_agent(mut self, name: &str) -> Self {
        let visible: String = name
            .chars()
            .filter(|letter| letter.is_ascii_graphic() || *letter == ' ')
            .collect();
        if let Ok(value) = HeaderValue::from_str(&visible) {
            self.user_agent = value;
        }
        self
    }

    /// The typed API of a kind: cluster-wide, until it is narrowed to a namespace.
    pub fn api<T: Typed>(&self) -> Api<T> {
        Api::new(self.resource(Gvr::of::<T>(), T::NAMESPACED))
    }

    /// The dynamic API of a resource.
    pub fn resource(&self, gvr: Gvr, namespaced: bool) -> Resource {
        Resource::new(self.clone(), gvr, namespaced)
    }

    /// Performs a request and returns the whole body of a successful answer.
    pub async fn call(
        &self,
        method: Method,
        path: String,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let response = self
            .send(method.clone(), path.clone(), content_type, body)
            .await?;
        collect(response.body)
            .await
            .map_err(|source| Error::Transport {
                method,
                path,
                source,
            })
    }

    /// Reads a document at any path.
    pub async fn get_path(&self, path: &str) -> Result<Bytes, Error> {
        self.call(Method::GET, path.to_owned(), "", Bytes::new())
            .await
    }

    /// Performs a request; refusals are errors.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: String,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Response, Error> {
        let request = Request {
            method: method.clone(),
            path: path.clone(),
            headers: self.headers(content_type),
            body,
        };
        let failed = |source| Error::Transport {
            method: method.clone(),
            path: path.clone(),
            source,
        };
        let response = self.transport.call(request).await.map_err(failed)?;
        if response.status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers.get(RETRY_AFTER).cloned();
        let body = collect(response.body).await.map_err(failed)?;
        let status = Box::new(refusal(response.status, retry_after.as_ref(), &body));
        Err(Error::Status {
            method,
            path,
            status,
        })
    }

    fn headers(&self, content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers
    }
}

/// All of a body. A watch has no end that could be waited for, so its events are refused.
pub(crate) async fn collect(body: Body) -> Result<Bytes, TransportError> {
    match body {
        Body::Full(bytes) => Ok(bytes),
        Body::Events(_) => Err(TransportError::Body(
            "a watch came instead of a document".into(),
        )),
        Body::Stream(stream) => {
            let mut pieces: Vec<Bytes> = stream.try_collect().await?;
            if pieces.len() == 1 {
                return Ok(pieces.remove(0));
            }
            let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces
                .iter()
                .for_each(|piece| whole.extend_from_slice(piece));
            Ok(whole.freeze())
        }
    }
}

/// The server's `Status`, or one made from the HTTP status where the body is something else (a
/// proxy's page, plain text).
fn refusal(code: StatusCode, retry_after: Option<&HeaderValue>, body: &[u8]) -> Status {
    let mut status = match Status::decode(body) {
        Ok(status) if status.status.is_some() || status.reason.is_some() => status,
        _ => plain_refusal(code, body),
    };
    status.code.get_or_insert(i32::from(code.as_u16()));
    let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(seconds) = seconds {
        let details = status.details.get_or_insert_with(StatusDetails::default);
        details.retry_after_seconds.get_or_insert(seconds);
    }
    status
}

/// Follows apimachinery's api/errors NewGenericServerResponse.
fn plain_refusal(code: StatusCode, body: &[u8]) -> Status {
    use crate::error::reason;
    let reason = match code.as_u16() {
        400 => "BadRequest",
        401 => reason::UNAUTHORIZED,
        403 => reason::FORBIDDEN,
        404 => reason::NOT_FOUND,
        405 => reason::METHOD_NOT_ALLOWED,
        409 => reason::CONFLICT,
        410 => reason::GONE,
        422 => reason::INVALID,
        429 => reason::TOO_MANY_REQUESTS,
        503 => "ServiceUnavailable",
        504 => "Timeout",
        500..=599 => "InternalError",
        _ => "",
    };
    let text: String = String::from_utf8_lossy(body)
        .trim()
        .chars()
        .take(2048)
        .collect();
    let message = if text.is_empty() {
        code.to_string()
    } else {
        text
    };
    Status {
        status: Some("Failure".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        code: Some(i32::from(code.as_u16())),
        ..Default::default()
    }
}
