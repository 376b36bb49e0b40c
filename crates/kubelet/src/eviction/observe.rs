//! How much there is left of what can run short.

use std::collections::BTreeMap;

use super::threshold::{Signal, Threshold};
use crate::context::Context;

/// What is left, and of how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// What is left.
    pub available: u64,
    /// All there is.
    pub capacity: u64,
}

/// What is left of everything that could be measured.
pub type Observations = BTreeMap<Signal, Left>;

/// Measures.
pub fn observe(cx: &Context) -> Observations {
    let mut seen = Observations::new();
    let mut note = |signal, available, capacity| {
        if capacity > 0 {
            let left = Left {
                available,
                capacity,
            };
            seen.insert(signal, left);
        }
    };
    if let Ok(available) = cx.machine.memory_available() {
        note(Signal::Memory, available, cx.memory.bytes);
    }
    if let Ok(disk) = cx.machine.disk(&cx.config.root) {
        note(Signal::NodeFs, disk.available_bytes, disk.capacity_bytes);
        note(Signal::NodeFsInodes, disk.inodes_free, disk.inodes);
    }
    if let Ok(disk) = cx.machine.disk(&cx.config.image_root) {
        note(Signal::ImageFs, disk.available_bytes, disk.capacity_bytes);
        note(Signal::ImageFsInodes, disk.inodes_free, disk.inodes);
    }
    if let Ok((used, limit)) = cx.machine.pids() {
        note(Signal::Pids, limit.saturating_sub(used), limit);
    }
    seen
}

/// Whether a shortage is there; one that was must be over by what shall be
/// reclaimed.
pub fn is_met(threshold: &Threshold, seen: &Observations, was_met: bool) -> bool {
    let Some(left) = seen.get(&threshold.signal) else {
        return false;
    };
    let more = threshold.reclaim.filter(|_| was_met);
    let more = more.map_or(0, |more| more.of(left.capacity));
    left.available < threshold.below.of(left.capacity).saturating_add(more)
}
