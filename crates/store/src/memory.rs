//! A store in memory, for tests and simulations.

use std::sync::Arc;

use futures::FutureExt;
use stdx::{Clock, Rng};

use crate::{Embedded, disk::SimulatedDisk, embedded::Options};

/// An empty store that is gone when it is dropped: the embedded engine on a
/// simulated disk that always works. Must be called in a tokio runtime.
///
/// # Panics
/// Never: a disk that always works opens at once.
pub fn memory(clock: Clock, rng: Rng) -> Embedded {
    let disk = SimulatedDisk::reliable(clock.clone(), rng.clone());
    let options = Options {
        segment_bytes_min: 64 << 10,
        ..Options::default()
    };
    Embedded::open_on(Arc::new(disk), clock, rng, options)
        .now_or_never()
        .and_then(Result::ok)
        .unwrap_or_else(|| unreachable!("an empty disk that always works opens at once"))
}
