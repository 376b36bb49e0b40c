//! The service proxy: services and endpoint slices become a packet filter
//! ruleset, which becomes the kernel's in one transaction.
//!
//! The way is: [`Service`] and [`EndpointSlice`] (a few plain fields each) →
//! [`plan`] (a pure function to the [`Entry`]s of one owner) → [`State`] (all
//! owners' entries, and what changed) → [`Backend`] (the kernel, or a double).
//! [`Proxy`] is the loop around it, and [`Cache`] is where it looks.
//!
//! # The ruleset
//!
//! A Service is never a chain: it is elements of maps, so that a change costs
//! what it changes, however many Services there are.
//!
//! - `services` and `node-ports` map where a packet wants to go to the *group*
//!   of endpoints that answer there, the *shape* of that group, and how the
//!   source is to be masqueraded. Their `-local` twins hold what traffic from
//!   outside the cluster sees of Services with the external policy `Local`.
//! - A shape is a number of endpoints and an affinity timeout. All groups of a
//!   shape share a chain, which picks a number and asks `endpoints` for
//!   (number, group). Groups without endpoints have the shape "refuse" or
//!   "drop", by which two small chains before the translation act.
//! - Masquerading needs no packet marks: a connection's original destination
//!   is looked up in the same maps once more as its first packet leaves.
//!
//! Two clusters share a machine: each has a table named after its instance,
//! and nothing outside of it.
//!
//! [`Health`] answers load balancers that ask how the proxy does, and where the
//! endpoints of a Service are.

mod backend;
mod cache;
mod convert;
mod encode;
mod endpoints;
mod entry;
mod flush;
mod health;
mod kernel;
mod layout;
mod memory;
mod model;
mod plan;
mod run;
mod state;

pub use backend::{Backend, Error};
pub use cache::Cache;
pub use convert::{endpoint_slice, host_ports, service};
pub use entry::{Entry, Key, Map, Masquerade, Shape, Value};
pub use health::Health;
pub use kernel::{Kernel, remove};
pub use memory::Memory;
pub use model::{
    Cidr, Conditions, Endpoint, EndpointSlice, Facts, Frontend, HostPort, Owner, Protocol, Service,
    ServicePort, SlicePort,
};
pub use plan::{Groups, Plan, UdpFrontend, plan_host_ports, plan_service};
pub use run::{Dirty, Proxy, Source};
pub use state::{Changes, Ruleset, State, ruleset};
