//! Sandboxes and containers behind the trait [`Runtime`], and the embedded runtime.
//!
//! A *sandbox* is what the containers of one pod share: namespaces, a parent
//! cgroup, `/dev/shm`, `resolv.conf`. A *container* is one attempt at running one
//! image in it; a container is started once, and a restart is a new container
//! with a higher attempt. The words and their meaning are those of the
//! Kubernetes Container Runtime Interface.

pub mod config;
pub mod embedded;
pub mod error;
pub mod fake;
pub mod layout;
pub mod monitor;
mod process;
pub mod protocol;
pub mod runtime;
pub mod status;
mod users;

pub use config::{ContainerConfig, SandboxConfig};

pub use embedded::Embedded;
pub use error::Error;
pub use runtime::Runtime;
pub use status::{ContainerState, ContainerStatus, SandboxState, SandboxStatus};
