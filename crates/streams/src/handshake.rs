//! How a client asks to speak WebSocket, and how it reads the answer (RFC 6455, section 4.1).

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A request to speak WebSocket.
pub struct Handshake {
    key: String,
    protocols: Vec<&'static str>,
}

/// The server's answer does not fit the request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server does not know our key: it is no WebSocket server, or answered somebody else.
    #[error("websocket: bad handshake")]
    Key,
    /// The server chose a protocol that was not offered.
    #[error("invalid protocol, expected one of {offered:?}, got {chosen:?}")]
    Protocol {
        /// What was offered.
        offered: Vec<&'static str>,
        /// What the server chose.
        chosen: String,
    },
}

impl Handshake {
    /// A request that offers these protocols, the best first.
    pub fn new(protocols: &[&'static str]) -> Self {
        Handshake {
            key: generate_key(),
            protocols: protocols.to_vec(),
        }
    }

    /// The headers of the request.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        for protocol in &self.protocols {
            let protocol = HeaderValue::from_static(protocol);
            headers.append(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        headers
    }

    /// The protocol that the server chose.
    pub fn agreed(&self, answer: &HeaderMap) -> Result<&'static str, Error> {
        let text = |name| answer.get(name).map(HeaderValue::as_bytes);
        let expected = derive_accept_key(self.key.as_bytes());
        if text(SEC_WEBSOCKET_ACCEPT) != Some(expected.as_bytes()) {
            return Err(Error::Key);
        }
        let chosen = text(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
        let known = |offer: &&&'static str| offer.as_bytes() == chosen;
        match self.protocols.iter().find(known) {
            Some(protocol) => Ok(protocol),
            None => Err(Error::Protocol {
                offered: self.protocols.clone(),
                chosen: String::from_utf8_lossy(chosen).into_owned(),
            }),
        }
    }
}

/// The client's side of a connection on which WebSocket is spoken now.
pub async fn client<S>(io: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    WebSocketStream::from_raw_socket(io, Role::Client, None).await
}

/// The server's side of it.
pub async fn server<S>(io: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    WebSocketStream::from_raw_socket(io, Role::Server, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_offered_is_agreed() {
        let handshake = Handshake::new(&["b", "a"]);
        let key = handshake.headers()[SEC_WEBSOCKET_KEY].clone();
        let accept = derive_accept_key(key.as_bytes());
        let mut answer = HeaderMap::new();
        assert!(matches!(handshake.agreed(&answer), Err(Error::Key)));
        let accept = HeaderValue::from_str(&accept).expect("base64");
        answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a"));
        assert_eq!(handshake.agreed(&answer).ok(), Some("a"));
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("c"));
        let refused = handshake.agreed(&answer).expect_err("not offered");
        assert_eq!(
            refused.to_string(),
            r#"invalid protocol, expected one of ["b", "a"], got "c""#
        );
    }
}
