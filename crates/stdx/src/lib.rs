//! The doors to clock, randomness and back-off that the simulator replaces,
//! and the supervisor that owns every task of a process.
//!
//! Nothing else in the workspace reads the machine's clock or its entropy, so
//! a whole cluster can run from a seed with time under a test's control.

mod backoff;
mod clock;
pub mod latest;
mod rng;
mod supervisor;

pub use backoff::Backoff;
pub use clock::{Clock, Elapsed, Instant, format_micros, format_seconds};
pub use jiff::{SignedDuration, Timestamp};
pub use rng::Rng;
pub use supervisor::{Failure, Importance, Supervisor};
pub use tokio_util::sync::CancellationToken;
