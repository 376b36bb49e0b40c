//! Agreement with the server on how to stream: WebSocket, and SPDY where that is not understood.
//!
//! Follows staging/src/k8s.io/client-go/transport/websocket/roundtripper.go,
//! tools/remotecommand/fallback.go and apimachinery/pkg/util/httpstream/spdy/roundtripper.go.

use crate::api::Api;
use crate::error::{Error, Result, said};
use client::http::Upgrade;
use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use streams::WebSocketStream;
use streams::handshake::{self, Handshake};
use tokio::io::{AsyncRead, AsyncWrite};

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// A connection on which something else than HTTP is spoken now.
pub trait Raw: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Raw for T {}

/// A connection to an endpoint that streams.
pub enum Wire {
    /// Messages.
    Socket(Box<WebSocketStream<Box<dyn Raw>>>),
    /// SPDY, still to be taken apart, and the protocol above it.
    Spdy(Box<dyn Raw>, String),
}

/// What is spoken with an endpoint.
pub struct Spoken {
    /// Over a WebSocket.
    pub web_socket: &'static str,
    /// Over SPDY, the best first.
    pub spdy: &'static [&'static str],
}

/// Connects to an endpoint.
pub async fn dial(api: &Api, path: &str, spoken: &Spoken) -> Result<Wire> {
    // A server that does not speak WebSocket says why not in the second answer, too.
    if let Some(socket) = web_socket(api, path, spoken.web_socket).await? {
        return Ok(Wire::Socket(Box::new(socket)));
    }
    spdy(api, path, spoken.spdy).await
}

async fn web_socket(
    api: &Api,
    path: &str,
    protocol: &'static str,
) -> Result<Option<WebSocketStream<Box<dyn Raw>>>> {
    let asked = Handshake::new(&[protocol]);
    match api.upgrade(Method::GET, path, asked.headers()).await? {
        Upgrade::Switched(answer, io) if asked.agreed(&answer).is_ok() => {
            Ok(Some(handshake::client(io as Box<dyn Raw>).await))
        }
        _ => Ok(None),
    }
}

async fn spdy(api: &Api, path: &str, protocols: &[&'static str]) -> Result<Wire> {
    let mut asked = HeaderMap::new();
    asked.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    asked.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    for protocol in protocols {
        asked.append(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    }
    let response = match api.upgrade(Method::POST, path, asked).await? {
        Upgrade::Refused(response) => response,
        Upgrade::Switched(answer, io) => {
            let agreed = answer.get(STREAM_PROTOCOL);
            // Servers that name none speak what was there before names.
            let protocol = agreed.map_or(Ok(""), HeaderValue::to_str);
            let protocol = protocol.unwrap_or_default().to_string();
            return Ok(Wire::Spdy(io, protocol));
        }
    };
    let body = api.whole(response).await?;
    match codec::json::parse_value(&body) {
        Ok(status) if status.str_at(&["kind"]) == "Status" => Err(Error::refused(status)),
        _ => said(format!(
            "unable to upgrade connection: {}",
            String::from_utf8_lossy(&body).trim()
        )),
    }
}
