//! The node agent: pod workers, volumes, probes, status, and its HTTPS door.
//!
//! [`run`] starts a kubelet over its [`Doors`]: the runtime, the images, the
//! network, the machine. The watch of pods says what shall be here; a worker
//! per pod compares it with what is ([`observed`]), makes a [`plan`], and
//! carries it out. Everything above the doors runs in a test without a kernel.

pub mod adapters;
mod admission;
pub mod config;
mod container_config;
mod container_gc;
mod context;
mod dns;
pub mod doors;
pub mod env;
mod events;
pub mod eviction;
pub mod fakes;
mod hooks;
mod hosts;
mod housekeeping;
pub mod image_gc;
mod kubelet;
mod labels;
mod logs;
pub mod machine;
mod metrics;
mod node;
pub mod objects;
mod observed;
mod plan;
mod pod;
mod pod_source;
pub mod probes;
mod qos;
mod resources;
mod sandbox_config;
mod security;
pub mod server;
mod status;
pub mod tokens;
mod usage;
pub mod volumes;
mod wakes;
mod worker;

pub use config::Config;
pub use kubelet::{Doors, Handle, StartError, run};

#[cfg(test)]
mod testing;
