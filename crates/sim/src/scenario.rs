//! What a seed decides before anything runs: how large the cluster is, what can
//! go wrong in it, and how often. Not everything goes wrong in every run: what is
//! absent leaves room for the rest, and lets some promises be held strictly.

use std::time::Duration;
use stdx::Rng;
use store::disk::Faults;

/// A run's circumstances.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed that everything follows from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How long things go wrong.
    pub chaos: Duration,
    /// What the way to the server does.
    pub odds: Odds,
    /// What the disk does.
    pub disk: Disk,
    /// What happens now and then.
    pub trouble: Trouble,
    /// The mean time between two requests of users.
    pub pace: Duration,
    /// How the store keeps its data.
    pub store: store::Options,
    /// Whether containers crash by themselves.
    pub crashing_containers: bool,
    /// Whether dependents are orphaned now and then.
    pub orphaning: bool,
}

/// How likely the way between a client and the server fails, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    /// A request does not arrive.
    pub request_lost: f64,
    /// An answer does not arrive.
    pub answer_lost: f64,
    /// The server asks to come again later.
    pub too_many: f64,
    /// A watch ends before its next event.
    pub watch_cut: f64,
    /// A watch says nothing for a while.
    pub watch_stall: f64,
    /// A watch begins with 410.
    pub watch_gone: f64,
    /// The longest delay of a request, an answer or an event.
    pub delay_max: Duration,
}

/// What the disk does while things go wrong.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The faults.
    pub faults: Faults,
}

/// What happens now and then, by weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// The mean time between two troubles.
    pub pace: Duration,
    /// The power of the server's machine is cut, at once.
    pub power_cut: u64,
    /// The power is cut in the middle of an operation of the disk.
    pub torn_write: u64,
    /// The server is killed.
    pub kill: u64,
    /// Controllers and scheduler are killed.
    pub control_kill: u64,
    /// A kubelet restarts.
    pub kubelet_restart: u64,
    /// A node dies and returns.
    pub node_death: u64,
    /// A machine is cut off for a while.
    pub partition: u64,
    /// A wall clock jumps.
    pub clock_jump: u64,
    /// The history is compacted.
    pub compaction: u64,
}

impl Scenario {
    /// What a seed decides.
    pub fn draw(seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        let some = |value: f64| {
            if rng.chance(0.6) {
                value * rng.unit()
            } else {
                0.0
            }
        };
        let odds = Odds {
            request_lost: some(0.1),
            answer_lost: some(0.1),
            too_many: some(0.05),
            watch_cut: some(0.05),
            watch_stall: some(0.02),
            watch_gone: some(0.3),
            delay_max: Duration::from_millis(rng.range(1..1500)),
        };
        let faults = Faults {
            write_error: some(0.02),
            sync_error: some(0.02),
            read_error: some(0.05),
            slow: some(0.3),
            slow_max: Duration::from_millis(rng.range(1..2000)),
            capacity: None,
        };
        let weight = || if rng.chance(0.5) { rng.range(1..5) } else { 0 };
        let trouble = Trouble {
            pace: Duration::from_secs(rng.range(5..40)),
            power_cut: weight(),
            torn_write: weight(),
            kill: weight(),
            control_kill: weight(),
            kubelet_restart: weight(),
            node_death: weight(),
            partition: weight(),
            clock_jump: weight(),
            compaction: weight(),
        };
        let store = store::Options {
            history: Duration::from_secs(rng.range(20..300)),
            segment_bytes_min: 1 << rng.range(12..17),
            segment_bytes_max: 1 << rng.range(17..20),
            checkpoint_bytes: 1 << rng.range(14..19),
            watch_queue: 1 << rng.range(1..12),
            ..store::Options::default()
        };
        Self {
            seed,
            nodes: rng.range(3..6) as usize,
            chaos: Duration::from_secs(rng.range(60..360)),
            odds,
            disk: Disk { faults },
            trouble,
            pace: Duration::from_millis(rng.range(200..3000)),
            store,
            crashing_containers: rng.chance(0.4),
            orphaning: rng.chance(0.3),
        }
    }

    /// Whether the server is ever interrupted.
    pub fn interrupts_server(&self) -> bool {
        let trouble = &self.trouble;
        trouble.power_cut + trouble.torn_write + trouble.kill > 0
    }

    /// Whether a client may be left without an answer to what was done.
    pub fn leaves_in_doubt(&self) -> bool {
        self.odds.answer_lost > 0.0
            || self.odds.watch_stall > 0.0
            || self.trouble.partition > 0
            || self.trouble.control_kill > 0
            || self.disk.faults.write_error > 0.0
            || self.disk.faults.sync_error > 0.0
            || self.interrupts_server()
    }
}
