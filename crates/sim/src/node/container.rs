//! The containers of a machine: what a kubelet finds when it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stdx::{Instant, Rng, Timestamp};

/// The containers of a machine, by the uid of their pod.
#[derive(Debug, Default)]
pub struct Containers {
    running: BTreeMap<String, Container>,
    /// How often the containers of a pod were started anew.
    restarts: BTreeMap<String, u32>,
    next_address: u32,
}

/// A pod's only container.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its address.
    pub ip: String,
    /// What it takes of the node, in thousandths of a core.
    pub milli_cpu: i64,
    /// When it began to run, by the machine's wall clock.
    pub started: Timestamp,
    /// From when on it is ready.
    pub ready_at: Instant,
    /// When it crashes, if it does.
    pub crash_at: Option<Instant>,
    /// How often it was started anew.
    pub restarts: u32,
}

impl Containers {
    /// A pod's container.
    pub fn get(&self, uid: &str) -> Option<&Container> {
        self.running.get(uid)
    }

    /// Runs a pod's container.
    pub fn run(
        &mut self,
        uid: &str,
        node: usize,
        milli_cpu: i64,
        (now, wall): (Instant, Timestamp),
        crashes: bool,
        rng: &Rng,
    ) {
        let restarts = self.restarts.entry(uid.to_owned()).or_default();
        let count = *restarts;
        *restarts += 1;
        let crashes = crashes && count < 3 && rng.chance(0.2);
        let container = Container {
            ip: self.free_address(node),
            milli_cpu,
            started: wall,
            ready_at: now + Duration::from_millis(rng.below(5000)),
            crash_at: crashes.then(|| now + Duration::from_secs(rng.range(1..60))),
            restarts: count,
        };
        self.running.insert(uid.to_owned(), container);
    }

    /// A pod's container ends by itself and is started anew, under its old address.
    pub fn crash(&mut self, uid: &str, now: Instant, rng: &Rng) {
        if let Some(container) = self.running.get_mut(uid) {
            let restarts = self.restarts.entry(uid.to_owned()).or_default();
            container.restarts = *restarts;
            *restarts += 1;
            container.crash_at = None;
            container.ready_at = now + Duration::from_millis(rng.range(1000..20_000));
        }
    }

    /// Ends a pod's container.
    pub fn end(&mut self, uid: &str) {
        self.running.remove(uid);
    }

    /// Ends all containers.
    pub fn end_all(&mut self) {
        self.running.clear();
    }

    /// Whose containers run.
    pub fn uids(&self) -> Vec<String> {
        self.running.keys().cloned().collect()
    }

    /// What is taken of the node.
    pub fn milli_cpu(&self) -> i64 {
        self.running
            .values()
            .map(|container| container.milli_cpu)
            .sum()
    }

    fn free_address(&mut self, node: usize) -> String {
        let taken: BTreeSet<&str> = self
            .running
            .values()
            .map(|container| container.ip.as_str())
            .collect();
        loop {
            self.next_address = self.next_address % 250 + 1;
            let ip = format!("10.42.{node}.{}", self.next_address);
            if !taken.contains(ip.as_str()) {
                return ip;
            }
        }
    }
}
