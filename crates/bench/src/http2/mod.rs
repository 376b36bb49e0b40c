//! A client of HTTP/2 that spends as little of the processor as it can.
//!
//! Client and server share the machine, so whatever the client spends is taken
//! from the server's figure. This one builds each request from a few bytes,
//! sends many in one TLS record, looks at frames where they were read, and
//! never decodes response headers: whether an answer is the right one shows in
//! the first bytes of its body.

mod connection;
mod error;
mod frame;
mod hpack;
mod request;

pub use connection::{Connection, Piece, unexpected};
pub use error::Error;
pub use request::{Method, Request};
