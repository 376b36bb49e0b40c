//! From a request to a WebSocket.
//!
//! Clients that stream over SPDY (before kubectl 1.31) are refused by name.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::{Answer, text};

/// A WebSocket with a client.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// An agreement to speak WebSocket: the answer goes out first.
pub(super) struct Upgrade {
    pub(super) protocol: &'static str,
    pub(super) answer: Answer,
    upgrade: OnUpgrade,
}

impl Upgrade {
    /// The socket, once the answer has gone out.
    pub(super) async fn socket(upgrade: OnUpgrade) -> Result<Socket, hyper::Error> {
        let upgraded = TokioIo::new(upgrade.await?);
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await)
    }

    /// Takes the parts apart.
    pub(super) fn split(self) -> (&'static str, Answer, OnUpgrade) {
        (self.protocol, self.answer, self.upgrade)
    }
}

/// Agrees on the first of `spoken` that the client offers.
pub(super) fn accept(
    mut request: Request<Incoming>,
    spoken: &[&'static str],
) -> Result<Upgrade, Box<Answer>> {
    let refuse = |words: &str| Box::new(text(StatusCode::BAD_REQUEST, words));
    let headers = request.headers();
    if has(headers, header::UPGRADE.as_str(), "spdy/3.1") {
        return Err(refuse(
            "streaming over SPDY/3.1 is not supported by this node; use a client that streams over WebSocket",
        ));
    }
    let is_upgrade = has(headers, "upgrade", "websocket")
        && has(headers, "connection", "upgrade")
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11;
    let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    let Some(key) = key.filter(|_| is_upgrade) else {
        return Err(refuse("Upgrade request required"));
    };
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
        != Some(b"13")
    {
        return Err(refuse("unsupported WebSocket version"));
    }
    let offered = values(headers, "sec-websocket-protocol");
    let protocol = spoken
        .iter()
        .find(|protocol| offered.iter().any(|offer| offer == *protocol));
    let Some(protocol) = protocol else {
        let words = format!(
            "none of the offered streaming protocols [{}] is supported; supported are [{}]",
            offered.join(" "),
            spoken.join(" ")
        );
        return Err(refuse(&words));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(protocol),
    );
    if let Ok(value) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok(Upgrade {
        protocol,
        answer,
        upgrade,
    })
}

/// The words of a header that lists some, as they are written.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn has(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let words = values(headers, name);
    words.iter().any(|value| value.eq_ignore_ascii_case(word))
}

/// The end of a conversation that went well. Clients take any other for a
/// broken connection.
pub(super) fn farewell() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    }))
}
