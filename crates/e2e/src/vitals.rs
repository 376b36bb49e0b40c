//! What a process holds: descriptors, memory, processor time.

use crate::Cluster;
use crate::machine::names_in;
use crate::wait::patiently;
use std::path::PathBuf;

/// Descriptors of a server that come and go by themselves.
const SOME: usize = 12;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Open descriptors.
    pub descriptors: usize,
    /// Resident memory that is its own, in KiB.
    pub memory_kib: u64,
    /// The most memory that it ever held, in KiB.
    pub peak_kib: u64,
    /// Processor time so far, in hundredths of a second.
    pub ticks: u64,
}

impl Vitals {
    /// Of the server.
    ///
    /// # Panics
    /// When it does not run.
    pub fn of(cluster: &Cluster) -> Vitals {
        let pid = cluster.pid().as_raw_nonzero().get();
        Vitals::of_process(pid.unsigned_abs()).expect("a running server")
    }

    /// Of any process; nothing when it has ended.
    pub fn of_process(pid: u32) -> Option<Vitals> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let (_, after) = stat.rsplit_once(')')?;
        let times = after.split_whitespace().skip(11).take(2);
        Some(Vitals {
            descriptors: names_in(&process.join("fd")).count(),
            memory_kib: field("RssAnon:")?,
            peak_kib: field("VmHWM:")?,
            ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum(),
        })
    }

    /// Waits until the server holds no more descriptors than then.
    ///
    /// # Panics
    /// When it goes on holding them.
    #[track_caller]
    pub fn wait_for(&self, cluster: &Cluster) {
        patiently(
            &format!("no more descriptors than {}", self.descriptors),
            || Vitals::of(cluster).descriptors,
            |now| *now <= self.descriptors + SOME,
        );
    }
}
