//! Measures the store on this machine's disk and prints medians.
//!
//! `cargo run --release -p store --example durable_writes [DIR]`

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use stdx::{Clock, Rng};
use store::{Embedded, Options, Range, Revision, Span, Store, Txn, WatchFrom};

const RUNS: usize = 5;
const VALUE_BYTES: usize = 1024;
/// Tells a process that it is one of the runs.
const ONCE: &str = "--once";

/// One measurement of one run.
struct Measured {
    what: &'static str,
    value: f64,
    unit: &'static str,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(once), Some(dir)) if once == ONCE => {
            for Measured { what, value, unit } in run(Path::new(&dir)).await {
                println!("{what}\t{value}\t{unit}");
            }
        }
        (parent, _) => medians(&parent.map_or(std::env::temp_dir(), Into::into)),
    }
}

/// Runs everything several times, each in a process of its own, so that one
/// does not inherit another's memory.
fn medians(parent: &Path) {
    let runs: Vec<Vec<(String, f64, String)>> = (0..RUNS)
        .map(|_| {
            let dir = tempfile::tempdir_in(parent).unwrap();
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .arg(ONCE)
                .arg(dir.path())
                .output()
                .unwrap();
            let output = String::from_utf8(output.stdout).unwrap();
            output.lines().map(parse).collect()
        })
        .collect();
    for number in 0..runs[0].len() {
        let mut values: Vec<f64> = runs.iter().map(|run| run[number].1).collect();
        values.sort_by(f64::total_cmp);
        let (what, _, unit) = &runs[0][number];
        println!("{what:50} {:>12.1} {unit}", values[RUNS / 2]);
    }
}

fn parse(line: &str) -> (String, f64, String) {
    let fields: Vec<&str> = line.split('\t').collect();
    let value = fields[1].parse().unwrap();
    (fields[0].to_owned(), value, fields[2].to_owned())
}

async fn run(dir: &Path) -> Vec<Measured> {
    let clock = Clock::system();
    let mut measured = Vec::new();
    let store = open(dir, &clock).await;
    for (what, cpu, writers, count) in [
        ("creates, 1 writer", "  CPU", 1, 2_000),
        ("creates, 16 writers", "  CPU", 16, 20_000),
        ("creates, 256 writers", "  CPU", 256, 100_000),
    ] {
        let (wall, busy) = creates(&store, &clock, writers, count).await;
        measured.push(Measured {
            what,
            value: count as f64 / wall.as_secs_f64(),
            unit: "/s",
        });
        measured.push(Measured {
            what: cpu,
            value: busy.as_secs_f64() * 1e6 / count as f64,
            unit: "us each",
        });
    }
    let stats = store.stats();
    measured.push(Measured {
        what: "resident memory per key",
        value: resident_bytes() / stats.keys as f64,
        unit: "bytes",
    });
    measured.push(ranges(&store, &clock).await);
    measured.extend(watches(&store, &clock).await);
    drop(store);
    measured.push(reopen(dir, &clock).await);
    measured
}

async fn open(dir: &Path, clock: &Clock) -> Arc<Embedded> {
    let options = Options::default();
    loop {
        let opened = Embedded::open(dir, clock.clone(), Rng::system(), options.clone()).await;
        match opened {
            Ok(store) => return Arc::new(store),
            // The one before it is still closing.
            Err(store::OpenError::Locked { .. }) => clock.sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Makes keys with as many writers, and returns the time and the CPU time.
async fn creates(
    store: &Arc<Embedded>,
    clock: &Clock,
    writers: u64,
    count: u64,
) -> (Duration, Duration) {
    let (start, busy) = (clock.now(), cpu_time());
    let writers: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..count / writers {
                    let key = format!("/registry/configmaps/w{writers}-{writer}/n-{number}");
                    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
                    let outcome = store.txn(Txn::create(key, value)).await.unwrap();
                    outcome.committed().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    (clock.since(start), cpu_time() - busy)
}

async fn ranges(store: &Arc<Embedded>, clock: &Clock) -> Measured {
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = clock.now();
        let range = Range::new(Span::prefix("/registry/configmaps/w256-")).limit(5000);
        let page = store.range(range).await.unwrap();
        assert_eq!(page.records.len(), 5000);
        times.push(clock.since(start));
    }
    times.sort_unstable();
    Measured {
        what: "range of 5,000 among 100,000 that are counted",
        value: times[times.len() / 2].as_secs_f64() * 1e3,
        unit: "ms",
    }
}

async fn watches(store: &Arc<Embedded>, clock: &Clock) -> Vec<Measured> {
    let now = store.revision().await.unwrap();
    let start = clock.now();
    let count = 50_000;
    let from = WatchFrom::new(Span::all(), Revision(now.0 - count));
    let mut watch = store.watch(from).await.unwrap();
    let mut seen = 0;
    while seen < count {
        seen += watch.next().await.unwrap().unwrap().events.len() as u64;
    }
    let from_disk = count as f64 / clock.since(start).as_secs_f64();
    vec![Measured {
        what: "events read back from history, one watcher",
        value: from_disk,
        unit: "/s",
    }]
}

async fn reopen(dir: &Path, clock: &Clock) -> Measured {
    // Waits for the lock, which is not what is measured.
    let store = open(dir, clock).await;
    store.close().await;
    drop(store);
    let start = clock.now();
    let store = open(dir, clock).await;
    assert!(store.stats().keys > 100_000);
    Measured {
        what: "reopening with 122,000 keys",
        value: clock.since(start).as_secs_f64() * 1e3,
        unit: "ms",
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<u64> = after_name
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    Duration::from_millis((fields[11] + fields[12]) * 10)
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}
