//! Logs that are damaged, keys that cannot be read.

use crate::disk::{CONFIG_MAPS, config_map};
use e2e::wire::Door;
use e2e::{Cluster, Options, Outcome};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A control plane with some objects, ended as a crash ends it.
fn crashed() -> Cluster {
    let mut cluster = Cluster::prepare(Options {
        arguments: vec!["--disable-agent".into()],
        without_images: true,
    });
    cluster.start_server();
    let door = Door::of(&cluster);
    for number in 0..40 {
        let reply = door.ask(
            "POST",
            CONFIG_MAPS,
            &config_map(&format!("c{number}"), 2000),
        );
        assert_eq!(reply.expect("an answer").code, 201);
    }
    cluster.kill_server();
    cluster
}

pub fn a_damaged_log_is_refused() {
    let cluster = crashed();
    let segment = last_segment(&cluster);
    let text = std::fs::read(&segment).expect("the segment");
    let inner = position(&text, b"\"c20\"");
    flip(&segment, inner);
    let said = refusal(&cluster);
    let name = segment.display().to_string();
    assert!(said.contains(&name), "{said}");
    assert!(said.contains("is damaged at offset"), "{said}");
    let offset = said.split("at offset ").nth(1).unwrap_or_default();
    let offset: String = offset.chars().take_while(char::is_ascii_digit).collect();
    let offset: u64 = offset.parse().expect("an offset");
    // The frame begins before the byte, and is one object long.
    assert!(offset <= inner && inner - offset < 4096, "{said}");
    // It has not been touched, so that a person can look at it.
    flip(&segment, inner);
    assert_eq!(std::fs::read(&segment).expect("the segment"), text);
    end_well(cluster, 40);
}

pub fn a_torn_log_is_cut() {
    let mut cluster = crashed();
    let segment = last_segment(&cluster);
    let text = std::fs::read(&segment).expect("the segment");
    let end = text.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
    // Half a frame that a crash might have left behind.
    let mut file = OpenOptions::new().write(true).open(&segment).expect("open");
    let torn = &text[position(&text, b"\"c30\"") as usize - 300..][..500];
    file.seek(SeekFrom::Start(end.next_multiple_of(8) as u64))
        .expect("seek");
    file.write_all(torn).expect("write");
    drop(file);
    cluster.start_server();
    let log = cluster.log();
    assert!(log.contains("the log has a torn end"), "{log}");
    cluster.stop_server();
    end_well(cluster, 40);
}

pub fn unreadable_keys_are_refused() {
    let cluster = crashed();
    let tls = cluster.data().join("server/tls");
    let mut files = Vec::new();
    collect_files(&tls, &mut files);
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let good = std::fs::read(&path).expect("a file");
        for bad in [&b"rubbish"[..], &good[..good.len() / 2], b""] {
            std::fs::write(&path, bad).expect("damage a file");
            let outcome = run(&cluster);
            let name = path.display().to_string();
            let why = outcome.text();
            assert!(!outcome.is_ok() && why.contains(&name), "{name}: {why}");
            assert_eq!(std::fs::read(&path).expect("a file"), bad, "{name}");
        }
        std::fs::write(&path, good).expect("mend a file");
    }
    end_well(cluster, 40);
}

/// What a start says that must fail.
fn refusal(cluster: &Cluster) -> String {
    let outcome = run(cluster);
    assert!(!outcome.is_ok(), "the server started: {outcome:#?}");
    outcome.text()
}

fn run(cluster: &Cluster) -> Outcome {
    let mut timeout = std::process::Command::new("timeout");
    let server = cluster.server_command();
    timeout
        .arg("20")
        .arg(server.get_program())
        .args(server.get_args());
    Outcome::of(&mut timeout)
}

/// Starts a server again and looks for its objects.
fn end_well(mut cluster: Cluster, count: usize) {
    cluster.start_server();
    let list = Door::of(&cluster)
        .ask("GET", CONFIG_MAPS, "")
        .expect("a list");
    let list: Value = list.json();
    let items = list["items"].as_array().expect("items");
    let found = items.iter().filter(|item| {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        name.starts_with('c')
    });
    assert_eq!(found.count(), count);
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn last_segment(cluster: &Cluster) -> PathBuf {
    let mut files = Vec::new();
    collect_files(&cluster.data().join("server/db"), &mut files);
    files.retain(|path| path.extension().is_some_and(|end| end == "log"));
    files.sort();
    files.pop().expect("a segment")
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => collect_files(&path, found),
            path => found.push(path),
        }
    }
}

fn position(text: &[u8], part: &[u8]) -> u64 {
    let mut windows = text.windows(part.len());
    windows.position(|window| window == part).expect("the part") as u64
}

fn flip(path: &Path, at: u64) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("open");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).expect("seek");
    file.read_exact(&mut byte).expect("read");
    file.seek(SeekFrom::Start(at)).expect("seek");
    file.write_all(&[byte[0] ^ 0x10]).expect("write");
}
