//! One exchange at a time with the API server: requests in trees, answers in trees, warnings shown.

use crate::config::Connection;
use crate::error::{Error, Result, said};
use crate::io;
use bytes::Bytes;
use client::http::Upgrade;
use client::{Body, HttpTransport, Request, Transport as _, TransportError};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, Method};
use meta::{Value, value};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

/// What a list or an object is asked for as, when people read it.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const JSON: &str = "application/json";
/// Of a patch by JSON patch.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// Of a patch by JSON merge patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Of a patch by strategic merge patch.
pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
/// Of server-side apply.
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// The API server.
pub struct Api {
    transport: HttpTransport,
    /// How it is reached.
    pub connection: Connection,
    headers: HeaderMap,
    timeout: Option<Duration>,
    verbosity: u8,
    warned: Mutex<BTreeSet<String>>,
}

impl Api {
    /// Prepares the connection.
    pub fn new(connection: Connection, timeout: Option<Duration>, verbosity: u8) -> Result<Self> {
        let transport = HttpTransport::new(&connection.http, stdx::Clock::system())
            .or_else(|error| said(client::chain(&error)))?;
        let headers = headers(&connection)?;
        Ok(Api {
            transport,
            connection,
            headers,
            timeout,
            verbosity,
            warned: Mutex::default(),
        })
    }

    /// Reads a document.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.get_as(path, JSON).await
    }

    /// Reads a document in a form.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Value> {
        let bytes = self.exchange(Method::GET, path, accept, None).await?;
        decode(&bytes)
    }

    /// Reads the bytes at a path, whatever they are.
    pub async fn raw(&self, path: &str) -> Result<Bytes> {
        self.exchange(Method::GET, path, "*/*", None).await
    }

    /// Sends a document.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let body = (JSON, Bytes::from(body.to_json()));
        let bytes = self.exchange(method, path, JSON, Some(body)).await?;
        decode(&bytes)
    }

    /// Sends raw text.
    pub async fn send_raw(&self, method: Method, path: &str, body: String) -> Result<Bytes> {
        let body = Some((JSON, Bytes::from(body)));
        self.exchange(method, path, "*/*", body).await
    }

    /// Creates an object.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, body).await
    }

    /// Changes an object.
    pub async fn patch(&self, path: &str, kind: &'static str, patch: &Value) -> Result<Value> {
        let body = (kind, Bytes::from(patch.to_json()));
        let bytes = self.exchange(Method::PATCH, path, JSON, Some(body)).await?;
        decode(&bytes)
    }

    /// One exchange; refusals are errors.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Bytes> {
        let call = async {
            let response = self.call(method, path, accept, body).await?;
            self.whole(response).await
        };
        match self.timeout {
            None => call.await,
            Some(limit) => match tokio::time::timeout(limit, call).await {
                Ok(answer) => answer,
                Err(_) => said(
                    "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
                ),
            },
        }
    }

    /// An answer that comes in pieces: watches and followed logs.
    pub async fn stream(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let response = self.call(Method::GET, path, accept, None).await?;
        let server = self.connection.http.server.clone();
        match response.body {
            Body::Stream(stream) => Ok(stream
                .map(move |piece| piece.map_err(|source| lost(&server, source)))
                .boxed()),
            Body::Full(bytes) => Ok(futures::stream::once(async { Ok(bytes) }).boxed()),
            Body::Events(_) => said("a socket gives bytes, not events"),
        }
    }

    /// A watch's events, each a tree with `type` and `object`.
    pub async fn watch(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<BoxStream<'static, Result<Value>>> {
        let pieces = self.stream(path, accept).await?;
        let state = (pieces, Vec::<u8>::new());
        let events = futures::stream::try_unfold(state, |(mut pieces, mut rest)| async move {
            loop {
                if let Some(end) = rest.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if line.len() > 1 {
                        return Ok(Some((decode(&line)?, (pieces, rest))));
                    }
                    continue;
                }
                match pieces.next().await {
                    Some(piece) => rest.extend_from_slice(&piece?),
                    None => return Ok(None),
                }
            }
        });
        Ok(events.boxed())
    }

    /// Asks for something else than HTTP on a connection of its own.
    pub async fn upgrade(&self, method: Method, path: &str, asked: HeaderMap) -> Result<Upgrade> {
        let mut headers = self.headers.clone();
        headers.extend(asked);
        let request = Request {
            method: method.clone(),
            path: path.to_string(),
            headers,
            body: Bytes::new(),
        };
        let server = &self.connection.http.server;
        let answer = self.transport.upgrade(request).await;
        let answer = answer.map_err(|source| lost(server, source))?;
        if self.verbosity >= 6 {
            let status = match &answer {
                Upgrade::Switched(..) => http::StatusCode::SWITCHING_PROTOCOLS,
                Upgrade::Refused(response) => response.status,
            };
            io::warn(format!("{method} {server}{path} {status}"));
        }
        Ok(answer)
    }

    /// The headers by which requests say who they are, for requests that are only passed on.
    pub fn identity(&self) -> &HeaderMap {
        &self.headers
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<client::Response> {
        let mut headers = self.headers.clone();
        if let Ok(accept) = HeaderValue::from_str(accept) {
            headers.insert(http::header::ACCEPT, accept);
        }
        let body = body.map(|(kind, body)| {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
            body
        });
        let request = Request {
            method: method.clone(),
            path: path.to_string(),
            headers,
            body: body.unwrap_or_default(),
        };
        let response = self.transport.call(request).await;
        let server = &self.connection.http.server;
        let response = response.map_err(|source| lost(server, source))?;
        if self.verbosity >= 6 {
            io::warn(format!("{method} {server}{path} {}", response.status));
        }
        self.show_warnings(&response.headers);
        if response.status.is_success() {
            return Ok(response);
        }
        let status = response.status;
        let body = self.whole(response).await?;
        Err(Error::refused(refusal(status, &body)))
    }

    /// All of an answer's body.
    pub async fn whole(&self, response: client::Response) -> Result<Bytes> {
        match response.body {
            Body::Full(bytes) => Ok(bytes),
            Body::Events(_) => said("a socket gives bytes, not events"),
            Body::Stream(mut stream) => {
                let mut all = Vec::new();
                while let Some(piece) = stream.next().await {
                    let piece = piece.map_err(|e| lost(&self.connection.http.server, e))?;
                    all.extend_from_slice(&piece);
                }
                Ok(all.into())
            }
        }
    }

    /// How many different warnings were shown.
    pub fn warnings(&self) -> usize {
        self.warned.lock().map_or(0, |warned| warned.len())
    }

    /// Each warning is shown once. Follows client-go's rest/warnings.go.
    fn show_warnings(&self, headers: &HeaderMap) {
        for warning in headers.get_all("warning") {
            let text = String::from_utf8_lossy(warning.as_bytes()).into_owned();
            let Some(text) = warning_text(&text) else {
                continue;
            };
            let fresh = match self.warned.lock() {
                Ok(mut warned) => warned.insert(text.clone()),
                Err(_) => true,
            };
            if fresh {
                io::warn(format!("Warning: {text}"));
            }
        }
    }
}

/// `299 - "text"`, with backslashes before quotes.
fn warning_text(header: &str) -> Option<String> {
    let rest = header.strip_prefix("299 ")?;
    let quoted = &rest[rest.find('"')? + 1..];
    let mut out = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.extend(letters.next()),
            letter => out.push(letter),
        }
    }
    Some(out)
}

fn headers(connection: &Connection) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let agent = HeaderValue::from_static(concat!("kubectl/v1.37.0+tiphys (linux)"));
    headers.insert(http::header::USER_AGENT, agent);
    if let Some(basic) = &connection.basic {
        headers.insert(http::header::AUTHORIZATION, header(basic)?);
    }
    for (name, value) in &connection.impersonate {
        headers.append(name, header(value)?);
    }
    Ok(headers)
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).or_else(|_| said(format!("{text:?} cannot stand in a header")))
}

fn lost(server: &str, source: TransportError) -> Error {
    Error::Transport {
        server: server.to_string(),
        source,
    }
}

fn decode(bytes: &[u8]) -> Result<Value> {
    codec::json::parse_value(bytes)
        .or_else(|error| said(format!("the server's answer is not JSON: {error}")))
}

/// The `Status` of a refusal, made where the body is something else.
fn refusal(code: http::StatusCode, body: &[u8]) -> Value {
    if let Ok(tree) = codec::json::parse_value(body)
        && tree.str_at(&["kind"]) == "Status"
    {
        return tree;
    }
    let reason = match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let message = match code.as_u16() {
        404 => "the server could not find the requested resource".to_string(),
        _ => String::from_utf8_lossy(body).trim().to_string(),
    };
    let mut status = value!({"kind": "Status", "status": "Failure"});
    status.set_at(&["reason"], reason);
    status.set_at(&["message"], message);
    status.set_at(&["code"], i64::from(code.as_u16()));
    status
}

/// Writes a query; empty values are left out.
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_string();
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(key);
        out.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    out.push(char::from(byte));
                }
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped_and_warnings_unquoted() {
        assert_eq!(
            query("/a?b=c", &[("x", ""), ("l", "a=b,c in (d)")]),
            "/a?b=c&l=a%3Db%2Cc%20in%20%28d%29"
        );
        assert_eq!(
            warning_text(r#"299 - "unknown field \"a\"""#).as_deref(),
            Some("unknown field \"a\"")
        );
    }
}
