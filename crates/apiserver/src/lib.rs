//! HTTP to registry: one readable stack of layers ([`stack`]), a file per verb,
//! a file per truly special subresource.
//!
//! [`Server::handle`] serves one request, whoever brings it: [`edge`] brings
//! those of sockets, the binary those of its own loops. Neither goes round
//! authorisation or admission.

mod answer;
mod backend;
mod compress;
mod discovery;
pub mod edge;
mod gather;
mod health;
mod impersonate;
mod kubelet;
mod metrics;
mod negotiate;
mod openapi;
mod options;
mod present;
pub mod relay;
mod request;
mod server;
mod stack;
mod subresources;
mod table;
mod tokens;
mod verbs;
pub mod version;
mod websocket;

pub use answer::{Answer, Body};
pub use kubelet::{KubeletAddress, Kubelets};
pub use metrics::Metrics;
pub use request::{Query, RequestInfo};
pub use server::Server;
pub use stack::{Inbound, Request};
pub use tokens::{TokenClaims, TokenIssuer};
