//! Disks that are full, logs that are damaged, keys that cannot be read.

use crate::traces::said;
use crate::wire::Door;
use e2e::{Cluster, Options, Outcome, eventually, until};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A small disk, which goes with the value.
struct SmallDisk {
    place: PathBuf,
    /// Of the cluster that lives on it, should the test fail.
    pid_file: PathBuf,
}

impl SmallDisk {
    fn mount(place: &Path, pid_file: PathBuf, megabytes: u32) -> SmallDisk {
        std::fs::create_dir_all(place).expect("make the place of the disk");
        let size = format!("size={megabytes}m");
        let place = place.to_path_buf();
        let path = place.display().to_string();
        let mount = Outcome::of(
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs", &path]),
        );
        assert!(mount.is_ok(), "{mount:#?}");
        SmallDisk { place, pid_file }
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("make a file");
        let block = [0_u8; 4096];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..1]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("remove a file");
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let pid = std::fs::read_to_string(&self.pid_file).unwrap_or_default();
            said("kill", &["-9", &pid]);
            std::thread::sleep(std::time::Duration::from_millis(500));
            let data = self.place.display().to_string();
            let reset = std::process::Command::new(e2e::tiphys())
                .args(["reset", "--data-dir", &data])
                .output();
            eprintln!("reset: {reset:?}");
        }
        said("umount", &["-l", &self.place.display().to_string()]);
    }
}

pub fn a_full_disk_is_said_and_survived() {
    let mut cluster = Cluster::prepare(Options {
        without_images: true,
        ..Options::default()
    });
    let disk = SmallDisk::mount(&cluster.data(), cluster.beside("pid"), 96);
    std::fs::create_dir_all(cluster.data().join("images")).expect("a folder");
    e2e::archive(&cluster.data().join("images/tests.tar"));
    cluster.start_server();
    cluster.wait_for_node();
    let door = Door::of(&cluster);
    let kubectl = cluster.kubectl();
    kubectl.apply(&e2e::pod(
        "stays",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'while true; do date; sleep 0.2; done']}
        ",
    ));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/stays");
    let container =
        kubectl.ok("get pod stays -o jsonpath='{.status.containerStatuses[0].containerID}'");

    disk.fill();
    let mut acknowledged = Vec::new();
    let refusal = eventually("a refused write", || {
        let name = format!("full-{}", acknowledged.len());
        let reply = door.ask("POST", CONFIG_MAPS, &config_map(&name, 64 << 10));
        let reply = reply.expect("an answer");
        if reply.code == 201 {
            acknowledged.push(name);
            return None;
        }
        Some(reply)
    });
    let status = refusal.json();
    assert_eq!(refusal.code, 500, "{status}");
    assert_eq!(status["kind"], "Status", "{status}");
    assert_eq!(status["reason"], "InternalError", "{status}");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("no space left"), "{message}");
    // A client that cannot be misled: kubectl says it too.
    let large = cluster.beside("large");
    std::fs::write(&large, "x".repeat(200 << 10)).expect("write a file");
    let create = format!("create configmap refused --from-file={}", large.display());
    let said = kubectl.fails(&create);
    assert!(said.contains("no space left"), "{said}");

    // Reads go on, pods run, the server stays.
    check_there(&door, &acknowledged);
    let absent = door.ask("GET", &format!("{CONFIG_MAPS}/refused"), "");
    assert_eq!(absent.expect("an answer").code, 404);
    assert!(kubectl.run("get --raw /livez").is_ok());
    let state = "get pod stays -o jsonpath='{.status.containerStatuses[0].containerID}'";
    assert_eq!(kubectl.ok(state), container);
    let alive = kubectl.run("exec stays -- echo alive");
    assert!(alive.is_ok(), "{alive:#?}");

    // A server that is started on a full disk reads what is there.
    cluster.kill_server();
    cluster.start_server();
    check_there(&door, &acknowledged);
    let refused = door.ask("POST", CONFIG_MAPS, &config_map("refused", 64 << 10));
    assert_eq!(refused.expect("an answer").code, 500);

    disk.free();
    until("writes work again", || {
        let reply = door.ask("POST", CONFIG_MAPS, &config_map("accepted", 64 << 10));
        matches!(reply.expect("an answer").code, 201 | 409)
    });
    acknowledged.push("accepted".into());
    check_there(&door, &acknowledged);
    cluster.kill_server();
    cluster.start_server();
    check_there(&door, &acknowledged);
    cluster.wait_for_node();
    assert_eq!(kubectl.ok(state), container, "the container was replaced");
    let restarts = "get pod stays -o jsonpath='{.status.containerStatuses[0].restartCount}'";
    assert_eq!(kubectl.ok(restarts), "0");
    kubectl.apply(&e2e::pod(
        "new",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    ));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/new");
    kubectl.ok("delete pod stays new --timeout=60s");

    cluster.stop_server();
    // A mount cannot be removed; what is in it can.
    let reset = cluster.tiphys("reset --purge");
    assert!(reset.is_ok(), "{reset:#?}");
    drop(disk);
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn check_there(door: &Door, names: &[String]) {
    for name in names {
        let reply = door.ask("GET", &format!("{CONFIG_MAPS}/{name}"), "");
        let reply = reply.expect("an answer");
        assert_eq!(reply.code, 200, "{name} is lost: {:?}", reply.json());
    }
}

fn config_map(name: &str, size: usize) -> String {
    let filler = "x".repeat(size);
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"filler":"{filler}"}}}}"#
    )
}

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
