//! What every loop stands on: a cache that follows the API server, a queue of keys to look at
//! again, and a runtime that looks.
//!
//! A [`Factory`] makes one [`Informer`] per kind and shares it among all loops of a process. An
//! informer's [`Store`] is what its reflector last heard; handlers turn each change into keys, and
//! a key says only *look again*. A [`Queue`] holds each key once, and [`run`] gives keys to a
//! [`Reconcile`] with retries, counters and a report of panics.
//!
//! Everything runs on one thread as well as on many, and reads time from [`stdx::Clock`].

mod controller;
mod elect;
mod factory;
mod informer;
mod metrics;
mod queue;
mod reflector;
mod store;

pub use controller::{Action, BoxError, Reconcile, Workers, run};
pub use elect::{Election, ElectionConfig};
pub use factory::Factory;
pub use informer::{Change, Informer};
pub use metrics::Metrics;
pub use queue::Queue;
pub use reflector::Reflector;
pub use store::{Cached, Index, ObjectKey, Store};
