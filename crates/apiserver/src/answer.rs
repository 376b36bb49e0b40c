//! What a handler answers with, before anybody has made HTTP of it.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use meta::{Status, Value};
use registry::Notice;

/// An answer on its way out.
pub struct Answer {
    /// The HTTP code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// Piece by piece.
    Pieces(BoxStream<'static, Bytes>),
    /// A watch; whoever is in this process takes the notices as they are.
    Notices(BoxStream<'static, Notice>),
    /// Bytes as they are: the answer of another server, or what is framed already.
    Foreign(BoxStream<'static, Result<Bytes, std::io::Error>>),
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Answer {
    /// JSON text.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Answer::new(status, JSON, Body::Full(body.into()))
    }

    /// An object.
    pub fn object(status: StatusCode, object: &Value) -> Self {
        let mut out = Vec::with_capacity(512);
        object.write_object(&mut out);
        Answer::json(status, out)
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Answer::new(
            status,
            HeaderValue::from_static("text/plain; charset=utf-8"),
            Body::Full(text.into()),
        )
    }

    /// Anything.
    pub fn new(status: StatusCode, content_type: HeaderValue, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        Answer {
            status,
            headers,
            body,
        }
    }

    /// Adds a header; values that no header may hold are left out.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Answer::object(code, &status.to_value());
        if status.details.retry_after_seconds > 0 {
            answer = answer.with(
                "retry-after",
                &status.details.retry_after_seconds.to_string(),
            );
        }
        answer
    }
}
