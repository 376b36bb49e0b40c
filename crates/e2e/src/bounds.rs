//! Bounds of time, so that a hang becomes a failure that says what hung.
//!
//! A program that a test runs is killed when it takes too long, which fails
//! its test alone. When a test or a whole suite takes too long nevertheless,
//! the suite says what it was doing, ends what it started, and fails.

use crate::machine::{command_line, kill};
use crate::{dose, leaks, report};
use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use stdx::{Clock, Instant};

/// A program; longer than any wait that a test asks kubectl for.
const PROGRAM: Duration = Duration::from_secs(150);
/// A test, as it usually is and in a campaign.
const TEST: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(7200)];
/// All tests of one file, by default: TIPHYS_E2E_MINUTES says otherwise.
const SUITE_MINUTES: [u64; 2] = [10, 150];
/// What is left for last words.
const LAST_WORDS: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);

static PROGRAMS: Mutex<BTreeMap<u32, (String, Instant)>> = Mutex::new(BTreeMap::new());
static TESTS: Mutex<BTreeMap<u64, (String, Instant)>> = Mutex::new(BTreeMap::new());

/// Runs a program to its end, which comes when it takes too long.
pub(crate) fn output(command: &mut Command) -> std::io::Result<Output> {
    watch();
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let begun = Clock::system().now();
    lock(&PROGRAMS).insert(pid, (format!("{command:?}"), begun));
    let output = child.wait_with_output();
    let killed = lock(&PROGRAMS).remove(&pid).is_none();
    output.map(|mut output| {
        if killed {
            let words = format!("\nended by the tests after {} s\n", PROGRAM.as_secs());
            output.stderr.extend(words.into_bytes());
        }
        output
    })
}

/// A test that runs; says how long it took when it is dropped.
pub(crate) struct Running(u64);

impl Running {
    pub(crate) fn begin(name: &str) -> Running {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        watch();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let begun = Clock::system().now();
        lock(&TESTS).insert(number, (name.to_string(), begun));
        Running(number)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((name, begun)) = lock(&TESTS).remove(&self.0) {
            let took = Clock::system().since(begun);
            eprintln!("{:6.1} s  {name}", took.as_secs_f64());
        }
    }
}

/// Starts to look at the time, once.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let begun = Clock::system().now();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK_EVERY);
                end_programs();
                if let Some(why) = overdue(begun) {
                    give_up(&why);
                }
            }
        });
    });
}

fn end_programs() {
    let clock = Clock::system();
    lock(&PROGRAMS).retain(|pid, (what, begun)| {
        let is_late = clock.since(*begun) > PROGRAM;
        if is_late {
            eprintln!("took too long and is ended: {what}");
            kill(*pid);
        }
        !is_late
    });
}

/// What takes too long.
fn overdue(begun: Instant) -> Option<String> {
    let clock = Clock::system();
    let minutes = std::env::var("TIPHYS_E2E_MINUTES").ok();
    let minutes = minutes.and_then(|minutes| minutes.parse().ok());
    let [usual, campaign] = SUITE_MINUTES;
    let suite = Duration::from_secs(60 * minutes.unwrap_or(dose(usual, campaign)));
    if clock.since(begun) > suite {
        return Some(format!("the suite takes more than {} s", suite.as_secs()));
    }
    let [usual, campaign] = TEST;
    let test = dose(usual, campaign).min(suite);
    let tests = lock(&TESTS);
    let (name, _) = tests
        .values()
        .find(|(_, begun)| clock.since(*begun) > test)?;
    Some(format!("{name} takes more than {} s", test.as_secs()))
}

/// Says what goes on, ends it, and ends this process.
fn give_up(why: &str) -> ! {
    eprintln!("giving up: {why}");
    let words = std::thread::spawn(|| {
        let clock = Clock::system();
        for (name, begun) in lock(&TESTS).values() {
            eprintln!("running for {} s: {name}", clock.since(*begun).as_secs());
        }
        for (pid, line) in children() {
            eprintln!("waiting for {pid}: {line}");
        }
        for root in leaks::own() {
            eprintln!("{}", report::of_root(&root));
        }
    });
    let clock = Clock::system();
    let begun = clock.now();
    while !words.is_finished() && clock.since(begun) < LAST_WORDS {
        std::thread::sleep(LOOK_EVERY);
    }
    let end = std::thread::spawn(|| {
        children().into_iter().for_each(|(pid, _)| _ = kill(pid));
        leaks::own().iter().for_each(|root| leaks::end_stale(root));
    });
    let begun = clock.now();
    while !end.is_finished() && clock.since(begun) < LAST_WORDS {
        std::thread::sleep(LOOK_EVERY);
    }
    std::process::exit(1)
}

/// The processes that this one has started, with their command lines.
fn children() -> Vec<(u32, String)> {
    let own = format!("PPid:\t{}", std::process::id());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            let is_own = status.lines().any(|line| line == own);
            is_own.then(|| (pid, command_line(pid)))
        })
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
