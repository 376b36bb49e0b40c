//! A process that writes under load is killed with SIGKILL again and again;
//! whatever it was told is durable must be there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use stdx::{Clock, Rng};
use store::{Embedded, Options, Range, Revision, Span, Store, Txn, WatchFrom};

const DIR: &str = "STORE_KILL_TEST_DIR";
const ROUNDS: u64 = 12;
const WRITERS: u64 = 64;
const KEYS: u64 = 5;

/// Small files, so that kills also hit rotations and checkpoints.
fn options() -> Options {
    Options {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 256 << 10,
        checkpoint_bytes: 256 << 10,
        history_bytes: 8 << 20,
        ..Options::default()
    }
}

async fn open(dir: &Path) -> Embedded {
    let opened = Embedded::open(dir, Clock::system(), Rng::system(), options()).await;
    opened.unwrap_or_else(|error| panic!("the store must open: {error:?}"))
}

/// Not a test but the process that is killed: it does nothing unless the
/// test below started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let store = Arc::new(open(Path::new(&dir)).await);
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer)));
    futures::future::join_all(writers).await;
}

async fn write(store: Arc<Embedded>, writer: u64) {
    for number in 0.. {
        let key = format!("/w/{writer}/{}", number % KEYS);
        let old = store.get(key.as_bytes(), None).await.unwrap();
        let last = old.map_or(0, |record| count(&record.value.whole()));
        let value = format!("{} {}", last + 1, "x".repeat(900));
        let outcome = store.txn(Txn::default().put(key.clone(), value)).await;
        let revision = outcome.unwrap().committed().unwrap();
        let line = format!("ack {key} {} {revision}\n", last + 1);
        // A broken pipe means that the parent has gone.
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            std::process::exit(1);
        }
    }
}

fn count(value: &[u8]) -> u64 {
    let value = std::str::from_utf8(value).unwrap();
    value.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let rng = Rng::system();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = Revision::ZERO;
    let mut total = 0;
    for round in 0..ROUNDS {
        let (acks, revision) = kill_after(dir.path(), rng.range(1..3000));
        total += acks.len();
        for (key, number) in acks {
            let known = acknowledged.entry(key).or_default();
            *known = number.max(*known);
        }
        last = last.max(revision);
        let store = open(dir.path()).await;
        check(&store, &acknowledged, last, round).await;
        if round % 3 == 0 {
            store.close().await;
        }
        drop(store);
        wait_until_free(dir.path()).await;
    }
    println!("{total} acknowledged writes in {ROUNDS} rounds");
    assert!(total > 1000, "the load was real");
}

/// Runs the child until it has acknowledged this much, and kills it.
fn kill_after(dir: &Path, acks: u64) -> (Vec<(String, u64)>, Revision) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_killed", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let read = read_acks(&mut child, acks);
    // Whatever happens, it must not stay.
    let _ = child.kill();
    child.wait().unwrap();
    read
}

fn read_acks(child: &mut Child, acks: u64) -> (Vec<(String, u64)>, Revision) {
    let mut seen = Vec::new();
    let mut last = Revision::ZERO;
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let mut words = line.split(' ');
        // The last line may be cut off: then it does not count.
        let (Some("ack"), Some(key), Some(number), Some(revision)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        seen.push((key.to_owned(), number.parse().unwrap()));
        last = last.max(Revision(revision.parse().unwrap()));
        if seen.len() as u64 == acks {
            child.kill().unwrap();
        }
    }
    (seen, last)
}

async fn check(store: &Embedded, acknowledged: &BTreeMap<String, u64>, last: Revision, round: u64) {
    let revision = store.revision().await.unwrap();
    assert!(revision >= last, "round {round}: {revision} < {last}");
    for (key, number) in acknowledged {
        let record = store.get(key.as_bytes(), None).await.unwrap();
        let record = record.unwrap_or_else(|| panic!("round {round}: {key} is gone"));
        let found = count(&record.value.whole());
        assert!(found >= *number, "round {round}: {key} {found} < {number}");
    }
    let begin = store.compacted().await.unwrap().max(Revision(1));
    let mut watch = store
        .watch(WatchFrom::new(Span::all(), begin))
        .await
        .unwrap();
    let mut seen = begin;
    while seen < revision {
        for event in watch.next().await.unwrap().unwrap().events {
            assert_eq!(event.revision, seen.next(), "round {round}: history");
            seen = event.revision;
        }
    }
    let at = Range::new(Span::all()).at(begin);
    store.range(at).await.unwrap();
}

/// A store that was dropped without being closed gives its directory back
/// when its writer has noticed.
async fn wait_until_free(dir: &Path) {
    let lock = std::fs::File::open(dir.join("lock")).unwrap();
    for _ in 0..1000 {
        if lock.try_lock().is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the directory is still locked");
}
