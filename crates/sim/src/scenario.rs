//! What a seed decides before anything runs: how large the cluster is, what can
//! go wrong in it, and how often. Not everything goes wrong in every run: what is
//! absent leaves room for the rest, and lets some promises be held strictly. Most
//! runs are short, so that many fit into little time.

use crate::workload::Deeds;
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
    /// What the disk does while things go wrong.
    pub disk: Faults,
    /// What happens now and then.
    pub trouble: Trouble,
    /// The mean time between two requests of users.
    pub pace: Duration,
    /// What users ask for, and how often.
    pub deeds: Deeds,
    /// For how long nobody may write when everything is at rest.
    pub rest: Duration,
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
    /// A request that writes arrives twice.
    pub twice: f64,
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

/// What happens now and then, by weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// The mean time between two troubles.
    pub pace: Duration,
    /// The power of the server's machine is cut, at once.
    pub power_cut: u64,
    /// The power is cut in the middle of an operation of the disk.
    pub torn_write: u64,
    /// The power goes, and goes again while the server starts.
    pub broken_start: u64,
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
    /// The disk is full for a while.
    pub full_disk: u64,
}

impl Scenario {
    /// What a seed decides.
    pub fn draw(seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        let long = rng.chance(0.1);
        let seconds = |short: std::ops::Range<u64>, long_: std::ops::Range<u64>| {
            Duration::from_secs(rng.range(if long { long_ } else { short }))
        };
        let chaos = seconds(15..75, 60..360);
        let rest = seconds(90..91, 1200..1201);
        let trouble_pace = seconds(3..15, 5..40);
        let pace = Duration::from_millis(rng.range(if long { 200..3000 } else { 100..900 }));
        Self {
            seed,
            nodes: rng.range(if long { 3..6 } else { 2..4 }) as usize,
            chaos,
            odds: Odds::draw(&rng),
            disk: disk(&rng),
            trouble: Trouble::draw(&rng, trouble_pace),
            pace,
            deeds: Deeds::draw(&rng),
            rest,
            store: store(&rng),
            crashing_containers: rng.chance(0.4),
            orphaning: rng.chance(0.3),
        }
    }

    /// Whether the server is ever interrupted.
    pub fn interrupts_server(&self) -> bool {
        let trouble = &self.trouble;
        trouble.power_cut + trouble.torn_write + trouble.broken_start + trouble.kill > 0
    }

    /// Whether a client may be left without an answer to what was done.
    pub fn leaves_in_doubt(&self) -> bool {
        self.odds.answer_lost > 0.0
            || self.odds.twice > 0.0
            || self.odds.watch_stall > 0.0
            || self.trouble.partition > 0
            || self.trouble.control_kill > 0
            || self.trouble.full_disk > 0
            || self.disk.write_error > 0.0
            || self.disk.sync_error > 0.0
            || self.interrupts_server()
    }
}

impl Odds {
    fn draw(rng: &Rng) -> Self {
        Self {
            request_lost: some(rng, 0.1),
            answer_lost: some(rng, 0.1),
            twice: some(rng, 0.05),
            too_many: some(rng, 0.05),
            watch_cut: some(rng, 0.05),
            watch_stall: some(rng, 0.02),
            watch_gone: some(rng, 0.3),
            delay_max: Duration::from_millis(rng.range(1..1500)),
        }
    }
}

impl Trouble {
    fn draw(rng: &Rng, pace: Duration) -> Self {
        let weight = || if rng.chance(0.5) { rng.range(1..5) } else { 0 };
        Self {
            pace,
            power_cut: weight(),
            torn_write: weight(),
            broken_start: weight(),
            kill: weight(),
            control_kill: weight(),
            kubelet_restart: weight(),
            node_death: weight(),
            partition: weight(),
            clock_jump: weight(),
            compaction: weight(),
            full_disk: weight(),
        }
    }
}

fn disk(rng: &Rng) -> Faults {
    Faults {
        write_error: some(rng, 0.02),
        sync_error: some(rng, 0.02),
        read_error: some(rng, 0.05),
        slow: some(rng, 0.3),
        slow_max: Duration::from_millis(rng.range(1..2000)),
        capacity: None,
    }
}

fn store(rng: &Rng) -> store::Options {
    store::Options {
        history: Duration::from_secs(rng.range(20..300)),
        segment_bytes_min: 1 << rng.range(12..17),
        segment_bytes_max: 1 << rng.range(17..20),
        checkpoint_bytes: 1 << rng.range(14..19),
        watch_queue: 1 << rng.range(1..12),
        sharing: Some(registry::alike),
        ..store::Options::default()
    }
}

/// Up to a share, or in some runs nothing at all.
fn some(rng: &Rng, most: f64) -> f64 {
    if rng.chance(0.6) {
        most * rng.unit()
    } else {
        0.0
    }
}
