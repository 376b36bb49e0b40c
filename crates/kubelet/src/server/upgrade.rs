//! From a request to a connection that streams: a WebSocket, or SPDY/3.1.
//!
//! Follows apimachinery/pkg/util/httpstream (spdy/upgrade.go, wsstream/conn.go).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use streams::WebSocketStream;
use streams::headers::{has_word, words};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Answer, text};

/// A WebSocket with a client.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// A connection on which something else is spoken now.
pub(super) type Raw = TokioIo<Upgraded>;

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: &str = "x-accepted-stream-protocol-versions";

/// What an endpoint speaks.
pub(super) struct Spoken {
    /// Over a WebSocket.
    pub(super) web_socket: &'static [&'static str],
    /// Over SPDY. The last is for clients that name none.
    pub(super) spdy: &'static [&'static str],
}

/// What the connection became.
pub(super) enum Wire {
    /// Messages.
    WebSocket(Box<Socket>),
    /// Streams, still to be taken apart.
    Spdy(Box<Raw>),
}

/// An agreement: the answer goes out first.
pub(super) struct Upgrade {
    /// What is to be spoken.
    pub(super) protocol: &'static str,
    is_spdy: bool,
    upgrade: OnUpgrade,
}

impl Upgrade {
    /// Whether SPDY is to be spoken, and not a WebSocket.
    pub(super) fn is_spdy(&self) -> bool {
        self.is_spdy
    }

    /// The connection, once the answer has gone out.
    pub(super) async fn wire(self) -> Result<Wire, hyper::Error> {
        let raw = TokioIo::new(self.upgrade.await?);
        if self.is_spdy {
            return Ok(Wire::Spdy(Box::new(raw)));
        }
        let socket = streams::handshake::server(raw).await;
        Ok(Wire::WebSocket(Box::new(socket)))
    }
}

/// Agrees on a protocol that both sides speak.
pub(super) fn accept(
    mut request: Request<Incoming>,
    spoken: &Spoken,
) -> Result<(Upgrade, Answer), Box<Answer>> {
    let headers = request.headers();
    let upgrades =
        has_word(headers, &header::CONNECTION, "upgrade") && request.version() == Version::HTTP_11;
    let is_spdy = upgrades && has_word(headers, &header::UPGRADE, "spdy/3.1");
    let (protocol, answer) = if is_spdy {
        spdy(headers, spoken.spdy)?
    } else if upgrades
        && request.method() == Method::GET
        && has_word(headers, &header::UPGRADE, "websocket")
    {
        web_socket(headers, spoken.web_socket)?
    } else {
        return Err(refuse("Upgrade request required"));
    };
    let upgrade = Upgrade {
        protocol,
        is_spdy,
        upgrade: hyper::upgrade::on(&mut request),
    };
    Ok((upgrade, answer))
}

fn refuse(words: &str) -> Box<Answer> {
    Box::new(text(StatusCode::BAD_REQUEST, words))
}

/// The client's first that is spoken here.
fn spdy(
    headers: &HeaderMap,
    spoken: &[&'static str],
) -> Result<(&'static str, Answer), Box<Answer>> {
    let offered = words(headers, &STREAM_PROTOCOL);
    let known = |offer: &String| spoken.iter().find(|protocol| *protocol == offer);
    let protocol = match offered.iter().find_map(known) {
        Some(protocol) => protocol,
        None if offered.is_empty() => spoken.last().copied().unwrap_or_default(),
        None => {
            let words = format!(
                "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
                offered.join(" "),
                spoken.join(" ")
            );
            let mut answer = text(StatusCode::FORBIDDEN, words);
            for protocol in spoken {
                let value = HeaderValue::from_static(protocol);
                answer.headers_mut().append(ACCEPTED_PROTOCOLS, value);
            }
            return Err(Box::new(answer));
        }
    };
    let mut answer = switching("SPDY/3.1");
    if !offered.is_empty() {
        let value = HeaderValue::from_static(protocol);
        answer.headers_mut().insert(STREAM_PROTOCOL, value);
    }
    Ok((protocol, answer))
}

/// The best of ours that the client offers.
fn web_socket(
    headers: &HeaderMap,
    spoken: &[&'static str],
) -> Result<(&'static str, Answer), Box<Answer>> {
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err(refuse("Upgrade request required"));
    };
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(refuse("unsupported WebSocket version"));
    }
    let offered = words(headers, &header::SEC_WEBSOCKET_PROTOCOL);
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
    let mut answer = switching("websocket");
    let headers = answer.headers_mut();
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(protocol),
    );
    if let Ok(value) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok((protocol, answer))
}

fn switching(to: &'static str) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static(to));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer
}
