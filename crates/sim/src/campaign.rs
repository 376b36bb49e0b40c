//! Many seeds, on several threads: each run is one thread's from its beginning to
//! its end, so that how many there are changes nothing about it.

use crate::story::{self, Report};
use std::any::Any;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Seeds to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Which.
    pub seeds: Vec<u64>,
    /// On how many threads.
    pub threads: usize,
}

/// How a campaign went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many seeds were run.
    pub ran: usize,
    /// What they wrote.
    pub commits: u64,
    /// The runs in which something was found wrong, by seed.
    pub failed: Vec<Report>,
}

impl Campaign {
    /// Runs the seeds, on as many threads as there are cores.
    pub fn new(seeds: impl IntoIterator<Item = u64>) -> Self {
        let cores = std::thread::available_parallelism();
        Self {
            seeds: seeds.into_iter().collect(),
            threads: cores.map_or(1, std::num::NonZero::get),
        }
    }

    /// Runs every seed to its end and tells of each as it ends.
    pub fn run(&self, tell: impl Fn(&Report) + Sync) -> Outcome {
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Outcome::default());
        let work = || {
            while let Some(seed) = self.seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                let report = run(*seed);
                tell(&report);
                let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                outcome.add(report);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.failed.sort_by_key(|report| report.seed);
        outcome
    }
}

impl Outcome {
    fn add(&mut self, report: Report) {
        self.ran += 1;
        self.commits += report.commits;
        if report.violation.is_some() {
            self.failed.push(report);
        }
    }
}

/// Runs a seed; a panic that nobody else catches is something wrong like another.
fn run(seed: u64) -> Report {
    catch_unwind(|| story::run(seed)).unwrap_or_else(|panic| Report {
        seed,
        violation: Some(format!("panicked: {}", text(&*panic))),
        ..Report::default()
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
