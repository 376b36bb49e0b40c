//! What an operator may choose.

use std::time::Duration;

use crate::Sharing;

/// How a store keeps its data.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the past can be read. Upstream keeps between one and two of
    /// its five-minute compaction intervals.
    pub history: Duration,
    /// The past is cut shorter rather than let its log exceed this.
    pub history_bytes: u64,
    /// The first segment's size; each next one is twice as large.
    pub segment_bytes_min: u64,
    /// The largest segment's size.
    pub segment_bytes_max: u64,
    /// A checkpoint is written after this much log, or after as much as there
    /// is data, whichever is more.
    pub checkpoint_bytes: u64,
    /// The largest transaction.
    pub txn_bytes_max: usize,
    /// How many events may wait for a watcher before it has to read the log.
    pub watch_queue: usize,
    /// What values have in common and memory keeps once; nothing if none.
    pub sharing: Option<Sharing>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history: Duration::from_secs(300),
            history_bytes: 256 << 20,
            segment_bytes_min: 1 << 20,
            segment_bytes_max: 16 << 20,
            checkpoint_bytes: 16 << 20,
            txn_bytes_max: 8 << 20,
            watch_queue: 8192,
            sharing: None,
        }
    }
}
