//! Cluster DNS answered from the shared cache.
//!
//! [`answer`] says what a name in the cluster means, as a pure function of a
//! question and a [`Directory`]; [`Zone`] is a directory that is kept up to
//! date object by object; [`Server`] answers datagrams and connections, and
//! asks the machine's resolvers ([`resolv_conf`]) about all other names.
//!
//! Answers from the cluster are written by an encoder of ours that does not
//! allocate ([`wire`]); what comes from other servers is decoded by
//! `hickory-proto`, which is also the judge of our encoder in the tests.

pub mod answer;
mod convert;
pub mod directory;
mod forward;
mod metrics;
pub mod name;
pub mod resolv_conf;
mod server;
pub mod wire;
mod zone;

pub use convert::{service, slice};
pub use directory::{Directory, Endpoint, Port, Reach, Service, Slice};
pub use metrics::Sample;
pub use server::{Config, Error, Handle, Server};
pub use zone::Zone;
