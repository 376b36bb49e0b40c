//! A log that is very long: whoever reads of it what he wants costs the
//! server little memory, and its end costs little time.

use e2e::wire::{Door, Pieces};
use e2e::{Cluster, Kubectl, Options, Vitals, dose, eventually, patiently};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOG: &str = "/api/v1/namespaces/default/pods/talker/log";
const DAY: Duration = Duration::from_secs(86_400);
/// Lines that are new; all others are of yesterday.
const NEW: usize = 1000;
/// Memory that a reader may cost, in KiB, however long the log is.
const MEMORY_KIB: u64 = 48 << 10;
/// Processor time that the end of a log may cost, in hundredths of a second.
const END_TICKS: u64 = 100;

pub fn huge_logs_are_read_in_little_memory() {
    let bytes: u64 = dose(64 << 20, 10 << 30);
    let arguments = vec!["--kubelet-arg=container-log-max-size=100Gi".to_string()];
    let cluster = Cluster::start(Options {
        arguments,
        ..Options::default()
    });
    let kubectl = cluster.kubectl().within("default");
    kubectl.apply(&e2e::pod(
        "talker",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'echo here I am; while test ! -e /end; do sleep 0.2; done']}
        ",
    ));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/talker");
    let log = log_of(&cluster, &kubectl, "talker");
    let lines = write(&log, bytes);
    read_the_end(&cluster, &kubectl);
    read_what_is_new(&cluster);
    read_all(&cluster, lines);
    follow(&kubectl, &log);
    // The same of a container that has ended.
    kubectl.ok("exec talker -- touch /end");
    patiently(
        "a restart",
        || kubectl.ok("get pod talker -o jsonpath='{.status.containerStatuses[0].restartCount}'"),
        |count| count == "1",
    );
    let previous = with_little_memory(&cluster, || kubectl.ok("logs talker --previous --tail=1"));
    assert_eq!(previous, "a last line\n");
    finish_a_rotation(&kubectl, &log.with_file_name("1.log"));
    kubectl.ok("delete pod talker --timeout=60s");
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn log_of(cluster: &Cluster, kubectl: &Kubectl, pod: &str) -> PathBuf {
    let uid = kubectl.ok(&format!("get pod {pod} -o jsonpath='{{.metadata.uid}}'"));
    let log = format!("agent/kubelet/logs/default_{pod}_{uid}/main/0.log");
    let log = cluster.data().join(log);
    eventually("the first line", || {
        std::fs::metadata(&log).ok().filter(|meta| meta.len() > 0)
    });
    log
}

/// Adds lines to a log as a monitor does, which appends, too; how many there
/// are.
fn write(log: &Path, bytes: u64) -> u64 {
    let file = OpenOptions::new().append(true).open(log).expect("the log");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let now = stdx::Clock::system().wall();
    let yesterday = now.saturating_sub(DAY).expect("a day ago");
    let old = format!("{yesterday:.9} stdout F {}\n", "x".repeat(100));
    let count = bytes / old.len() as u64;
    for _ in 0..count {
        file.write_all(old.as_bytes()).expect("write a line");
    }
    for number in 0..NEW {
        writeln!(file, "{now:.9} stdout F new {number}").expect("write a line");
    }
    file.flush().expect("write the log");
    1 + count + NEW as u64
}

/// Does something that must not cost the server much memory.
fn with_little_memory<T>(cluster: &Cluster, work: impl FnOnce() -> T) -> T {
    let pid = cluster.pid().as_raw_nonzero();
    // The peak is counted anew from here.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("reset the peak");
    let before = Vitals::of(cluster);
    let done = work();
    let after = Vitals::of(cluster);
    let grown = after.peak_kib.saturating_sub(before.peak_kib);
    let ticks = after.ticks - before.ticks;
    println!("{grown} KiB and {ticks} hundredths of a second");
    assert!(grown < MEMORY_KIB, "{grown} KiB more than before");
    done
}

fn read_the_end(cluster: &Cluster, kubectl: &Kubectl) {
    let before = Vitals::of(cluster);
    let end = with_little_memory(cluster, || kubectl.ok("logs talker --tail=2"));
    assert_eq!(end, "new 998\nnew 999\n");
    let ticks = Vitals::of(cluster).ticks - before.ticks;
    assert!(ticks < END_TICKS, "the end of the log cost {ticks} ticks");
    let some = with_little_memory(cluster, || kubectl.ok("logs talker --limit-bytes=1000"));
    assert_eq!(some.len(), 1000);
    assert!(some.starts_with("here I am\nxxx"), "{some}");
}

fn read_what_is_new(cluster: &Cluster) {
    // A client of ours has the patience for it.
    let door = Door::of(cluster);
    let new = with_little_memory(cluster, || {
        let body = door.read(&format!("{LOG}?sinceSeconds=3600"));
        body.and_then(Pieces::whole).expect("the new lines")
    });
    let new = String::from_utf8(new).expect("text");
    let lines: Vec<&str> = new.lines().collect();
    assert_eq!(lines.first(), Some(&"here I am"));
    assert_eq!(lines.len(), 1 + NEW);
    assert_eq!(lines.last(), Some(&"new 999"));
}

/// Reads everything as fast as it comes, and keeps nothing.
fn read_all(cluster: &Cluster, lines: u64) {
    let door = Door::of(cluster);
    let found = with_little_memory(cluster, || {
        let mut body = door.read(LOG).expect("the log");
        let mut found = 0;
        while let Some(piece) = body.piece().expect("a piece of the log") {
            found += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        found
    });
    assert_eq!(found, lines);
}

fn follow(kubectl: &Kubectl, log: &Path) {
    let mut client = kubectl.spawn("logs -f talker --tail=1");
    let mut said = BufReader::new(client.stdout.take().expect("its output")).lines();
    let mut next = || said.next().and_then(Result::ok).unwrap_or_default();
    assert_eq!(next(), "new 999");
    let mut file = OpenOptions::new().append(true).open(log).expect("the log");
    let now = stdx::Clock::system().wall();
    writeln!(file, "{now:.9} stdout F a last line").expect("write a line");
    assert_eq!(next(), "a last line");
    client.kill().expect("kill the client");
    client.wait().expect("wait for the client");
}

/// A kubelet that was killed while it rotated the log has renamed it, and its
/// monitor goes on writing there until it is told to begin a new one.
fn finish_a_rotation(kubectl: &Kubectl, log: &Path) {
    std::fs::rename(log, log.with_extension("log.20260101000000")).expect("rename the log");
    patiently(
        "lines in a new log",
        || {
            kubectl.run("exec talker -- sh -c 'echo heard >/proc/1/fd/1'");
            kubectl.run("logs talker --tail=1").stdout
        },
        |said| said == "heard\n",
    );
}
