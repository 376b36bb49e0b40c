//! SPDY/3.1, the protocol over which Kubernetes' clients streamed before
//! WebSocket, and which port-forward of newer ones tunnels inside of it.
//!
//! [`frame`] is the framing, pure; [`headers`] the compressed header blocks;
//! [`session`] joins both to a connection and hands out streams. What is spoken
//! is the draft's "SPDY Protocol - Draft 3.1"; where Go's spdystream departs
//! from it (it neither keeps nor sends flow control windows), so do we with it.

pub mod frame;
pub mod headers;
pub mod session;
mod state;

pub use frame::{Frame, Malformed, Reset};
pub use headers::Headers;
pub use session::{Closed, Receiver, Role, Sender, Session, Stream, session};
