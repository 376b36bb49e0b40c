//! Typed and dynamic client over one seam: a socket, or in process.
//!
//! Everything that is not the API server reaches the cluster through a [`Client`], and a client
//! reaches the server through a [`Transport`]. In one binary the transport calls the server's own
//! stack under the loop's identity; elsewhere it is [`HttpTransport`]. Nothing above the seam can
//! tell which.
//!
//! The typed layer ([`Api`]) is a thin coat over [`Resource`], which speaks bytes, so that little
//! code is generated per kind.

mod api;
mod discovery;
mod error;
pub mod events;
pub mod http;
mod options;
mod path;
mod request;
mod resource;
mod special;
mod transport;
mod watch;

pub use api::{Api, Event, List};
pub use discovery::{ApiResource, Discovery};
pub use error::{Error, chain, reason};
pub use http::{HttpConfig, HttpTransport, Kubeconfig};
pub use options::{DeleteOptions, ListOptions, Patch, Propagation, WriteOptions};
pub use path::Gvr;
pub use request::Client;
pub use resource::{RawEvent, RawList, Resource};
pub use transport::{
    Body, BoxError, EventType, Request, Response, Transport, TransportError, WatchEvent,
};
