//! The embedded engine on both disks: the contract, crashes, damage, faults.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use stdx::{Clock, Rng, Timestamp};

use super::{Embedded, OpenError, Options};
use crate::{
    Error, Outcome, Range, Revision, Span, Store, Txn, WatchFrom, contract,
    disk::{Disk, Faults, SimulatedDisk},
};

const KEYS: u64 = 20;

fn simulated_clock() -> Clock {
    Clock::simulated(Timestamp::from_second(1_800_000_000).unwrap())
}

/// Small files, so that all that is rare happens.
fn small() -> Options {
    Options {
        history: Duration::from_secs(3600),
        history_bytes: 1 << 20,
        segment_bytes_min: 2 << 10,
        segment_bytes_max: 8 << 10,
        checkpoint_bytes: 16 << 10,
        txn_bytes_max: 4 << 20,
        watch_queue: 16,
        sharing: Some(after_dash),
    }
}

fn after_dash(value: &[u8]) -> Vec<std::ops::Range<usize>> {
    let dash = value.iter().position(|byte| *byte == b'-');
    dash.map(|at| at + 1..value.len()).into_iter().collect()
}

/// The seeds of a test from `first` on; STORE_SEEDS asks for more of them.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("STORE_SEEDS").ok();
    let count = asked.and_then(|asked| asked.parse().ok()).unwrap_or(count);
    first..first + count
}

async fn open(disk: &SimulatedDisk, clock: &Clock, rng: &Rng) -> Result<Embedded, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.process());
    Embedded::open_on(disk, clock.clone(), rng.fork(), small()).await
}

async fn put(store: &Embedded, key: &str, value: &str) -> Result<Revision, Error> {
    let txn = Txn::default().put(key.to_owned(), value.to_owned());
    let outcome = store.txn(txn).await?;
    Ok(outcome.committed().unwrap())
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    let clock = simulated_clock();
    let store = crate::memory(clock.clone(), Rng::seeded(1));
    contract::check(Arc::new(store), clock, true).await;
}

#[tokio::test(start_paused = true)]
async fn small_files_keep_the_contract() {
    let clock = simulated_clock();
    let rng = Rng::seeded(2);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let store = open(&disk, &clock, &rng).await.unwrap();
    contract::check(Arc::new(store), clock, true).await;
}

#[tokio::test]
async fn real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, rng) = (Clock::system(), Rng::system());
    let store = Embedded::open(dir.path(), clock.clone(), rng, Options::default());
    let store = store.await.unwrap();
    contract::check(Arc::new(store), clock, true).await;
}

#[tokio::test]
async fn directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options::default();
        Embedded::open(dir.path(), Clock::system(), Rng::system(), options)
    };
    let first = open().await.unwrap();
    let refused = open().await.err().unwrap().to_string();
    let pid = std::process::id();
    let dir_name = dir.path().display();
    assert_eq!(refused, format!("{dir_name}/ is in use by process {pid}"));
    let revision = put(&first, "a", "1").await.unwrap();
    first.close().await;
    assert!(matches!(first.get(b"a", None).await, Err(Error::Closed)));
    assert!(matches!(put(&first, "a", "2").await, Err(Error::Closed)));
    let second = open().await.unwrap();
    let record = second.get(b"a", None).await.unwrap().unwrap();
    assert_eq!(record.modified, revision);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_watches() {
    let store = crate::memory(simulated_clock(), Rng::seeded(1));
    let revision = store.revision().await.unwrap();
    let from = WatchFrom::new(Span::all(), revision);
    let mut watch = store.watch(from).await.unwrap();
    let ended = tokio::spawn(async move { watch.next().await.is_none() });
    store.close().await;
    assert!(ended.await.unwrap());
}

/// What a store should hold: each key's acknowledged value, and what may have
/// been written since by transactions that nobody knows the outcome of.
#[derive(Default)]
struct Model {
    acknowledged: std::collections::BTreeMap<String, (Revision, u64)>,
    unknown: std::collections::BTreeMap<String, Vec<u64>>,
    revision: Revision,
    written: u64,
}

impl Model {
    async fn write_some(&mut self, store: &Embedded, rng: &Rng, count: u64) {
        for _ in 0..count {
            let width = rng.range(1..6);
            let numbers: Vec<u64> = (0..width).map(|n| self.written + n).collect();
            self.written += width;
            let writes = numbers.iter().map(|number| {
                let key = format!("/k/{}", number % KEYS);
                let padding = "x".repeat(rng.below(600) as usize);
                let value = format!("{number} {padding}");
                async move {
                    let result = put(store, &key, &value).await;
                    (key, *number, result)
                }
            });
            for (key, number, result) in futures::future::join_all(writes).await {
                self.note(key, number, result);
            }
        }
    }

    fn note(&mut self, key: String, number: u64, result: Result<Revision, Error>) {
        match result {
            Ok(revision) => {
                self.revision = self.revision.max(revision);
                self.unknown.remove(&key);
                self.acknowledged.insert(key, (revision, number));
            }
            Err(error) if error.outcome_unknown() => {
                self.unknown.entry(key).or_default().push(number);
            }
            Err(Error::NoSpace { .. }) => {}
            Err(other) => panic!("unexpected: {other:?}"),
        }
    }

    /// Compares, and takes what is there for acknowledged from now on.
    async fn check(&mut self, store: &Embedded, seed: u64) {
        let range = Range::new(Span::prefix("/k/"));
        let page = store.range(range).await.unwrap();
        assert!(page.revision >= self.revision, "seed {seed}: revision");
        let mut found = std::collections::BTreeMap::new();
        for record in page.records {
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            let value = String::from_utf8(record.value.whole().into_owned()).unwrap();
            let number: u64 = value.split(' ').next().unwrap().parse().unwrap();
            found.insert(key, (record.modified, number));
        }
        for (key, (revision, number)) in &self.acknowledged {
            let Some((found_revision, found_number)) = found.get(key) else {
                panic!("seed {seed}: acknowledged {key}={number} is gone");
            };
            let is_it = (found_revision, found_number) == (revision, number);
            let maybe = self.unknown.get(key);
            let is_unknown = maybe.is_some_and(|maybe| maybe.contains(found_number));
            assert!(
                is_it || is_unknown,
                "seed {seed}: {key} is {found_number}, acknowledged was {number}"
            );
        }
        for (key, (_, number)) in &found {
            let known = self.acknowledged.get(key).is_some_and(|(_, n)| n == number);
            let maybe = self.unknown.get(key).is_some_and(|m| m.contains(number));
            assert!(known || maybe, "seed {seed}: {key}={number} from nowhere");
        }
        self.acknowledged = found;
        self.unknown.clear();
        self.revision = page.revision;
    }
}

/// A watch from the compaction on must tell the same story as the records.
async fn check_history(store: &Embedded, seed: u64) {
    let revision = store.revision().await.unwrap();
    let begin = store.compacted().await.unwrap().max(Revision(1));
    let at = Range::new(Span::all()).at(begin);
    let page = store.range(at).await.unwrap();
    let mut state: std::collections::BTreeMap<Bytes, crate::Record> = page
        .records
        .into_iter()
        .map(|record| (record.key.clone(), record))
        .collect();
    let mut watch = store
        .watch(WatchFrom::new(Span::all(), begin))
        .await
        .unwrap();
    let progress = watch.progress();
    let mut seen = begin;
    while seen < revision {
        progress.send();
        let batch = watch.next().await.unwrap().unwrap();
        for event in batch.events {
            assert_eq!(event.revision, seen.next(), "seed {seed}: no gaps");
            seen = event.revision;
            let key = event.key().clone();
            assert_eq!(event.prev(), state.get(&key), "seed {seed}: prev");
            match event.change {
                crate::Change::Put { record, .. } => state.insert(key, record),
                crate::Change::Delete { .. } => state.remove(&key),
            };
        }
        assert!(batch.progress >= seen);
    }
    let now = store.range(Range::new(Span::all())).await.unwrap();
    let state: Vec<_> = state.into_values().collect();
    assert_eq!(
        state, now.records,
        "seed {seed}: history leads to the present"
    );
}

async fn survive_crashes(seed: u64, faults: Faults) {
    let clock = simulated_clock();
    let rng = Rng::seeded(seed);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let mut model = Model::default();
    for _ in 0..6 {
        disk.set_faults(Faults::default());
        let store = open(&disk, &clock, &rng).await;
        let store = store.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        model.check(&store, seed).await;
        check_history(&store, seed).await;
        disk.set_faults(faults.clone());
        if rng.chance(0.7) {
            disk.cut_power_after(rng.range(1..120));
        }
        let writes = rng.below(40);
        model.write_some(&store, &rng, writes).await;
        if rng.chance(0.5) {
            let at = Revision(rng.range(1..model.revision.0 + 2));
            // May well be refused or lost.
            let _ = store.compact(at).await;
            model.write_some(&store, &rng, 3).await;
        }
        match rng.below(3) {
            0 => disk.cut_power(),
            1 => disk.kill(),
            _ => store.close().await,
        }
        drop(store);
        tokio::task::yield_now().await;
        disk.kill();
    }
}

#[tokio::test(start_paused = true)]
async fn power_cuts_lose_nothing_acknowledged() {
    for seed in seeds(0, 300) {
        survive_crashes(seed, Faults::default()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn failing_disks_lose_nothing_acknowledged() {
    for seed in seeds(1_000_000, 200) {
        let faults = Faults {
            write_error: 0.05,
            sync_error: 0.05,
            slow: 0.1,
            slow_max: Duration::from_millis(50),
            ..Faults::default()
        };
        survive_crashes(seed, faults).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_history() {
    let mut histories = Vec::new();
    for _ in 0..2 {
        let clock = simulated_clock();
        let rng = Rng::seeded(77);
        let disk = SimulatedDisk::new(clock.clone(), rng.fork());
        disk.set_faults(Faults {
            write_error: 0.05,
            slow: 0.2,
            slow_max: Duration::from_millis(20),
            ..Faults::default()
        });
        let store = open(&disk, &clock, &rng).await.unwrap();
        let mut model = Model::default();
        model.write_some(&store, &rng, 60).await;
        store.close().await;
        let files = disk.files().into_iter();
        let files: Vec<_> = files
            .map(|(name, _)| (disk.contents(&name), name))
            .collect();
        histories.push((files, clock.wall()));
    }
    assert!(histories[0] == histories[1], "every byte at the same time");
}

/// A file system of its own, so that it can be full.
struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { dir }),
            other => {
                println!("skipped: cannot mount a tmpfs: {other:?}");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.dir.path())
            .status();
    }
}

#[tokio::test]
async fn full_file_system_refuses_and_recovers() {
    let Some(tmpfs) = Tmpfs::mount(3 << 20) else {
        return;
    };
    let ballast = tmpfs.dir.path().join("ballast");
    std::fs::write(&ballast, vec![1; 512 << 10]).unwrap();
    let dir = tmpfs.dir.path().join("store");
    let store = Embedded::open(&dir, Clock::system(), Rng::system(), Options::default());
    let store = store.await.unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match put(&store, &format!("k{acknowledged:05}"), &"x".repeat(20_000)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "the file system never became full");
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    std::fs::remove_file(ballast).unwrap();
    put(&store, "more", &"x".repeat(20_000)).await.unwrap();
    let page = store.range(Range::new(Span::all())).await.unwrap();
    assert_eq!(page.count, acknowledged + 1);
    store.close().await;
}

#[tokio::test(start_paused = true)]
async fn full_disk_refuses_and_recovers() {
    let clock = simulated_clock();
    let rng = Rng::seeded(5);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let store = open(&disk, &clock, &rng).await.unwrap();
    let full = Faults {
        capacity: Some(24 << 10),
        ..Faults::default()
    };
    disk.set_faults(full.clone());
    let mut acknowledged = 0;
    let error = loop {
        match put(&store, &format!("k{acknowledged:03}"), &"x".repeat(500)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "the disk never became full");
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert!(acknowledged > 10);
    let page = store.range(Range::new(Span::all())).await.unwrap();
    assert_eq!(page.count, acknowledged, "reads go on");

    // A restart on a full disk serves what is there.
    disk.cut_power();
    let store = open(&disk, &clock, &rng).await.unwrap();
    let page = store.range(Range::new(Span::all())).await.unwrap();
    assert_eq!(page.count, acknowledged);
    let refused = put(&store, "more", &"x".repeat(3000)).await;
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    disk.set_faults(Faults::default());
    put(&store, "more", &"x".repeat(3000)).await.unwrap();
    disk.cut_power();
    let store = open(&disk, &clock, &rng).await.unwrap();
    let page = store.range(Range::new(Span::all())).await.unwrap();
    assert_eq!(page.count, acknowledged + 1);
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_middle_is_refused() {
    for seed in seeds(0, 200) {
        let clock = simulated_clock();
        let rng = Rng::seeded(seed);
        let disk = SimulatedDisk::new(clock.clone(), rng.fork());
        let store = open(&disk, &clock, &rng).await.unwrap();
        let mut values = Vec::new();
        for number in 0..rng.range(4..30) {
            let value = format!("{number}-{}", "x".repeat(rng.below(300) as usize));
            put(&store, &format!("k{number}"), &value).await.unwrap();
            values.push(value);
        }
        store.close().await;
        let files = disk.files();
        let (name, len) = rng.choose(&files).unwrap();
        // All bytes count but padding and the unused end of the header.
        let (offset, bit) = (rng.below(*len), rng.below(8) as u8);
        disk.flip_bit(name, offset, bit);
        match open(&disk, &clock, &rng).await {
            Err(OpenError::Damaged { file, .. }) => assert_eq!(&file, name, "seed {seed}"),
            Err(other) => panic!("seed {seed}: {other:?}"),
            Ok(store) => {
                for (number, value) in values.iter().enumerate() {
                    let key = format!("k{number}");
                    let record = store.get(key.as_bytes(), None).await.unwrap();
                    let found = record.map(|record| record.value);
                    let expected = Some(value.clone().into());
                    assert_eq!(found, expected, "seed {seed}: {name} {offset} {bit}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn missing_segment_is_refused() {
    let clock = simulated_clock();
    let rng = Rng::seeded(1);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let store = open(&disk, &clock, &rng).await.unwrap();
    for number in 0..12 {
        put(&store, &format!("k{number}"), &"x".repeat(500))
            .await
            .unwrap();
    }
    store.close().await;
    let files = disk.files();
    assert!(files.len() > 2, "{files:?}");
    disk.remove(&files[1].0).await.unwrap();
    let refused = open(&disk, &clock, &rng).await.err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_let_old_segments_go() {
    let clock = simulated_clock();
    let rng = Rng::seeded(9);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let store = open(&disk, &clock, &rng).await.unwrap();
    for number in 0..600 {
        let key = format!("/k/{}", number % 5);
        let revision = put(&store, &key, &"y".repeat(400)).await.unwrap();
        if number % 50 == 49 {
            store.compact(revision).await.unwrap();
        }
    }
    let stats = store.stats();
    assert!(stats.file_bytes < 100 << 10, "{stats:?}");
    check_history(&store, 0).await;
    let before = store.range(Range::new(Span::all())).await.unwrap();
    store.close().await;
    let files = disk.files();
    assert!(
        files.iter().any(|(name, _)| name.ends_with(".ckpt")),
        "{files:?}"
    );
    let store = open(&disk, &clock, &rng).await.unwrap();
    let after = store.range(Range::new(Span::all())).await.unwrap();
    assert_eq!(before, after);
    check_history(&store, 0).await;
}

/// No checkpoint makes those segments fewer that stay for the history's sake: one is written, and
/// then the writer rests.
#[tokio::test(start_paused = true)]
async fn segments_of_the_history_do_not_keep_the_writer_busy() {
    let (clock, rng) = (simulated_clock(), Rng::seeded(7));
    let disk = SimulatedDisk::reliable(clock.clone(), rng.fork());
    let options = Options {
        segment_bytes_min: 512,
        segment_bytes_max: 512,
        checkpoint_bytes: 1 << 20,
        history_bytes: 1 << 30,
        ..small()
    };
    let process: Arc<dyn Disk> = Arc::new(disk.process());
    let store = Embedded::open_on(process, clock, rng.fork(), options).await;
    let store = store.unwrap();
    for number in 0..100 {
        put(&store, "key", &format!("{number:0400}")).await.unwrap();
    }
    let rest = async || {
        for _ in 0..500 {
            tokio::task::yield_now().await;
        }
        disk.files()
    };
    let files = rest().await;
    assert!(files.len() > 64, "{files:?}");
    assert_eq!(files, rest().await);
    store.close().await;
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded_in_size_and_time() {
    let clock = simulated_clock();
    let rng = Rng::seeded(9);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let options = Options {
        history: Duration::from_secs(300),
        history_bytes: 64 << 10,
        ..small()
    };
    let on: Arc<dyn Disk> = Arc::new(disk.process());
    let store = Embedded::open_on(on, clock.clone(), rng.fork(), options).await;
    let store = store.unwrap();
    for number in 0..600 {
        let key = format!("/k/{}", number % 5);
        put(&store, &key, &"y".repeat(400)).await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.file_bytes < 150 << 10, "{stats:?}");
    assert!(stats.compacted > Revision(300), "{stats:?}");
    assert!(stats.compacted < stats.revision);
    clock.sleep(Duration::from_secs(900)).await;
    assert_eq!(store.stats().compacted, stats.revision, "all is old now");
}

#[tokio::test(start_paused = true)]
async fn expiry_survives_restarts_and_clock_jumps() {
    let clock = simulated_clock();
    let rng = Rng::seeded(3);
    let disk = SimulatedDisk::new(clock.clone(), rng.fork());
    let store = open(&disk, &clock, &rng).await.unwrap();
    let minute = Some(Duration::from_secs(60));
    let txn = Txn::default().put_for("soon", "1", minute);
    store.txn(txn).await.unwrap();
    clock.sleep(Duration::from_secs(30)).await;
    disk.kill();
    drop(store);
    let store = open(&disk, &clock, &rng).await.unwrap();
    // A jump of the wall clock while running changes nothing.
    clock.step_wall(stdx::SignedDuration::from_secs(-7200));
    clock.sleep(Duration::from_secs(29)).await;
    assert!(store.get(b"soon", None).await.unwrap().is_some());
    clock.sleep(Duration::from_secs(2)).await;
    assert_eq!(store.get(b"soon", None).await.unwrap(), None);
    let outcome = store.txn(Txn::create("soon", "again")).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)));
}

#[tokio::test(start_paused = true)]
async fn oversized_transactions_are_refused() {
    let store = crate::memory(simulated_clock(), Rng::seeded(1));
    let txn = Txn::create("big", vec![0; 9 << 20]);
    let refused = store.txn(txn).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { .. })),
        "{refused:?}"
    );
}
