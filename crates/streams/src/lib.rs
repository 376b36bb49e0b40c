//! What exec, attach and port-forward say over a WebSocket, for both of its sides.
//!
//! [`channel`] is the protocol of a command's streams: the first byte of each message says which
//! stream it belongs to. [`tunnel`] carries the bytes of another connection, in which SPDY is
//! spoken. [`handshake`] is the client's part of the agreement to speak WebSocket at all; servers
//! keep theirs beside their other upgrades, and find in [`headers`] what was asked for.

pub mod channel;
pub mod handshake;
pub mod headers;
mod tunnel;

pub use tokio_tungstenite::WebSocketStream;
pub use tokio_tungstenite::tungstenite::Error as SocketError;
pub use tokio_tungstenite::tungstenite::Message;
pub use tunnel::tunnel;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The names by which protocols are agreed upon. Follows
/// apimachinery/pkg/util/{remotecommand/constants.go,portforward/constants.go}.
pub mod protocol {
    /// Channels, each of which can be closed.
    pub const V5: &str = "v5.channel.k8s.io";
    /// Channels and an outcome that is a `Status`; over SPDY, streams.
    pub const V4: &str = "v4.channel.k8s.io";
    /// Streams with the terminal's sizes; the outcome is plain words.
    pub const V3: &str = "v3.channel.k8s.io";
    /// The same without sizes.
    pub const V2: &str = "v2.channel.k8s.io";
    /// The first, which had no number.
    pub const V1: &str = "channel.k8s.io";
    /// Forwarded ports over SPDY.
    pub const PORTS: &str = "portforward.k8s.io";
    /// Forwarded ports over SPDY in a tunnel.
    pub const TUNNELLED_PORTS: &str = "SPDY/3.1+portforward.k8s.io";
}

/// The end of a conversation that went well. Clients take any other for a broken connection.
pub fn farewell() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    }))
}

/// Whether a message is such an end.
pub fn is_farewell(message: &Message) -> bool {
    matches!(message, Message::Close(Some(frame)) if frame.code == CloseCode::Normal)
}
