//! Answers that go on, as messages of a WebSocket: watches and logs, for clients
//! (browsers above all) that cannot read a stream of HTTP, and the token that such
//! a client hides among its sub-protocols. Streams in both directions do not come
//! here: whoever serves them speaks for himself.
//!
//! Follows apimachinery/pkg/util/httpstream/wsstream/stream.go,
//! apiserver/pkg/endpoints/handlers/watch.go (HandleWS) and
//! apiserver/pkg/authentication/request/websocket/protocol.go.

use crate::answer::{Answer, Body};
use crate::stack::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::Status;
use std::time::Duration;
use stdx::Clock;
use streams::headers::{has_word, words};
use streams::{Message, SocketError, WebSocketStream, farewell};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How long a client may take for one message before it counts as gone.
const STALL: Duration = Duration::from_secs(60);
/// What a sub-protocol that is a token begins with.
const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// What a message is made of.
#[derive(Clone, Copy)]
enum Form {
    /// The bytes.
    Binary,
    /// The bytes as text.
    Text,
    /// The bytes in base64, as text.
    Base64,
}

impl Form {
    fn message(self, bytes: Bytes) -> Message {
        match self {
            Form::Base64 => Message::text(STANDARD.encode(&bytes)),
            Form::Text => match std::str::from_utf8(&bytes) {
                Ok(text) => Message::text(text),
                Err(_) => Message::binary(bytes),
            },
            Form::Binary => Message::binary(bytes),
        }
    }
}

/// A client's wish for a WebSocket.
pub(crate) struct Wish {
    upgrade: OnUpgrade,
    key: HeaderValue,
    protocols: Vec<String>,
}

impl Wish {
    /// Takes the connection of a request that asks for a WebSocket; `None` for any
    /// other request.
    pub(crate) fn take(request: &mut Request) -> Result<Option<Wish>, Status> {
        if !is_wished(&request.headers) {
            return Ok(None);
        }
        let Some(upgrade) = request.upgrade.take() else {
            return Ok(None);
        };
        let version = request.header("sec-websocket-version");
        let key = request.headers.get(header::SEC_WEBSOCKET_KEY).cloned();
        match key {
            Some(key) if version == "13" => Ok(Some(Wish {
                upgrade,
                key,
                protocols: words(&request.headers, &header::SEC_WEBSOCKET_PROTOCOL),
            })),
            _ => Err(Status::bad_request("missing or bad WebSocket version")),
        }
    }

    /// Sends the events of a watch, one a message.
    pub(crate) fn watch(self, answer: Answer, clock: &Clock) -> Result<Answer, Status> {
        if self.protocols.len() > 1 {
            return Err(Status::bad_request("bad subprotocol"));
        }
        let form = match &answer.body {
            Body::Notices(_) => Form::Text,
            _ => Form::Binary,
        };
        let protocol = self.protocols.first().cloned();
        self.accept(answer, protocol.as_deref(), form, clock)
    }

    /// Sends a log as it comes.
    pub(crate) fn log(self, answer: Answer, clock: &Clock) -> Result<Answer, Status> {
        let spoken =
            |offer: &&String| ["binary.k8s.io", "base64.binary.k8s.io"].contains(&offer.as_str());
        let chosen = self.protocols.iter().find(spoken).cloned();
        if chosen.is_none() && !self.protocols.is_empty() {
            return Err(Status::bad_request(format!(
                "requested protocol(s) are not supported: [{}]; supports [binary.k8s.io base64.binary.k8s.io]",
                self.protocols.join(" ")
            )));
        }
        let form = match chosen.as_deref() {
            Some("base64.binary.k8s.io") => Form::Base64,
            _ => Form::Binary,
        };
        self.accept(answer, chosen.as_deref(), form, clock)
    }

    fn accept(
        self,
        answer: Answer,
        protocol: Option<&str>,
        form: Form,
        clock: &Clock,
    ) -> Result<Answer, Status> {
        let pieces = pieces(answer.body);
        let (upgrade, clock) = (self.upgrade, clock.clone());
        tokio::spawn(async move {
            match upgrade.await {
                Ok(upgraded) => {
                    let io = TokioIo::new(upgraded);
                    let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                    send_all(socket, pieces, form, &clock).await;
                }
                Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
            }
        });
        let switching = Answer {
            status: StatusCode::SWITCHING_PROTOCOLS,
            headers: HeaderMap::new(),
            body: Body::Full(Bytes::new()),
        };
        let switching = switching
            .with("upgrade", "websocket")
            .with("connection", "Upgrade")
            .with(
                "sec-websocket-accept",
                &derive_accept_key(self.key.as_bytes()),
            );
        Ok(match protocol {
            Some(protocol) => switching.with("sec-websocket-protocol", protocol),
            None => switching,
        })
    }
}

fn is_wished(headers: &HeaderMap) -> bool {
    has_word(headers, &header::CONNECTION, "upgrade")
        && has_word(headers, &header::UPGRADE, "websocket")
}

fn pieces(body: Body) -> BoxStream<'static, std::io::Result<Bytes>> {
    match body {
        Body::Full(bytes) => futures::stream::iter([Ok(bytes)]).boxed(),
        Body::Pieces(pieces) => pieces.map(Ok).boxed(),
        Body::Notices(notices) => notices.map(|notice| Ok(notice.frame)).boxed(),
        Body::Foreign(pieces) => pieces,
    }
}

/// Sends until there is nothing more, or nobody to hear it.
async fn send_all(
    mut socket: Socket,
    mut pieces: BoxStream<'static, std::io::Result<Bytes>>,
    form: Form,
    clock: &Clock,
) {
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let sent = clock.timeout(STALL, socket.send(form.message(bytes))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "what a WebSocket tells broke off");
                    break;
                }
                None => break,
            },
            said = socket.next() => if !is_heard(said.as_ref()) {
                return;
            },
        }
    }
    // A client that does not wait for the end misses nothing.
    let _ = clock.timeout(STALL, socket.send(farewell())).await;
}

/// Whether the client is still there; what it says otherwise is of no account.
fn is_heard(said: Option<&Result<Message, SocketError>>) -> bool {
    !matches!(said, None | Some(Err(_)) | Some(Ok(Message::Close(_))))
}

/// Takes the token out of a request for a WebSocket, whose sub-protocols are then
/// those that are left; `None` when it brings none.
///
/// # Errors
/// When what should be a token is none, or stands there twice, or alone.
pub(crate) fn take_token(headers: &mut HeaderMap) -> Result<Option<String>, Status> {
    if !is_wished(headers) {
        return Ok(None);
    }
    let offered = words(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    let (tokens, others): (Vec<_>, Vec<_>) =
        offered.iter().partition(|offer| offer.starts_with(BEARER));
    let token = match tokens.as_slice() {
        [] => return Ok(None),
        [token] if !others.is_empty() => &token[BEARER.len()..],
        _ => return Err(Status::unauthorized()),
    };
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.filter(|text| !text.is_empty());
    let token = text.ok_or_else(Status::unauthorized)?;
    let left = others.iter().map(|word| word.as_str()).collect::<Vec<_>>();
    if let Ok(left) = HeaderValue::from_str(&left.join(", ")) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, left);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(protocols: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let protocols = HeaderValue::from_str(protocols).expect("a header");
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        headers
    }

    #[track_caller]
    fn check(protocols: &str, token: Result<Option<&str>, ()>, left: &str) {
        let mut headers = asking(protocols);
        let taken = take_token(&mut headers).map_err(drop);
        assert_eq!(
            taken.as_ref().map(Option::as_deref),
            token.as_ref().map(|t| *t)
        );
        assert_eq!(headers[header::SEC_WEBSOCKET_PROTOCOL], left);
    }

    #[test]
    fn tokens_hide_among_protocols() {
        let hidden = format!("{BEARER}{}", URL_SAFE_NO_PAD.encode("secret"));
        let beside = format!("{hidden}, v5.channel.k8s.io");
        check("v5.channel.k8s.io", Ok(None), "v5.channel.k8s.io");
        check(&beside, Ok(Some("secret")), "v5.channel.k8s.io");
        check(&hidden, Err(()), &hidden);
        let rubbish = format!("{BEARER}%%, x");
        check(&rubbish, Err(()), &rubbish);
    }
}
