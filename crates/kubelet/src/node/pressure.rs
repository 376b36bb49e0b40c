//! Whether the machine runs short of memory, disk or process ids.
//!
//! Follows pkg/kubelet/eviction in its thresholds and in that a pressure is
//! reported for five minutes after it was last seen. Evicting pods is not done yet.

use std::path::Path;
use std::time::Duration;

use stdx::{Clock, Instant};

use super::EVICTION_MEMORY;
use crate::doors::{Disk, Machine};

const TRANSITION: Duration = Duration::from_secs(300);
/// Below which part of a file system its room is short, in percent. Upstream
/// says 10 and 15; 5 is what k3s says, which runs on small disks as we do.
const DISK_PERCENT: u64 = 5;

/// What the machine runs short of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory.
    pub memory: bool,
    /// Room or inodes in a file system.
    pub disk: bool,
    /// Process ids.
    pub pids: bool,
}

/// Remembers when a pressure was last seen.
#[derive(Debug, Default)]
pub struct Gauge {
    memory: Option<Instant>,
    disk: Option<Instant>,
    pids: Option<Instant>,
}

impl Gauge {
    /// Measures.
    pub fn measure(
        &mut self,
        clock: &Clock,
        machine: &dyn Machine,
        root: &Path,
        images: &Path,
    ) -> Pressure {
        let now = clock.now();
        let memory = machine
            .memory_available()
            .is_ok_and(|bytes| bytes < EVICTION_MEMORY as u64);
        let is_short = |path: &Path| machine.disk(path).is_ok_and(short_of_disk);
        let disk = is_short(root) || is_short(images);
        let pids = machine
            .pids()
            .is_ok_and(|(used, limit)| limit.saturating_sub(used) < limit / 100);
        Pressure {
            memory: held(&mut self.memory, memory, now),
            disk: held(&mut self.disk, disk, now),
            pids: held(&mut self.pids, pids, now),
        }
    }
}

fn short_of_disk(disk: Disk) -> bool {
    let bytes = disk.available_bytes * 100 < disk.capacity_bytes * DISK_PERCENT;
    let inodes = disk.inodes > 0 && disk.inodes_free * 100 < disk.inodes * 5;
    bytes || inodes
}

fn held(seen: &mut Option<Instant>, is_so: bool, now: Instant) -> bool {
    if is_so {
        *seen = Some(now);
    }
    seen.is_some_and(|seen| now - seen < TRANSITION)
}
