//! Disks that have no room, or no inode, left.

use crate::rogue::Rogue;
use e2e::machine::{names_in, said};
use e2e::wire::Door;
use e2e::{Cluster, Options, Outcome, eventually, patiently, until};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

const SLEEPS: &str = "sleep 3600";

/// A small disk, which goes with the value.
struct SmallDisk {
    place: PathBuf,
    /// Of the cluster that lives on it, should the test fail.
    pid_file: PathBuf,
}

impl SmallDisk {
    fn mount(place: &Path, pid_file: PathBuf, options: &str) -> SmallDisk {
        std::fs::create_dir_all(place).expect("make the place of the disk");
        let place = place.to_path_buf();
        let path = place.display().to_string();
        let mount = Outcome::of(
            std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", options, "tmpfs", &path]),
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

    /// Leaves no inode free.
    fn fill_inodes(&self) {
        let folder = self.filler();
        std::fs::create_dir_all(&folder).expect("make a folder");
        let mut names = 0..;
        while names
            .next()
            .is_some_and(|name| File::create(folder.join(name.to_string())).is_ok())
        {}
    }

    fn free(&self) {
        let filler = self.filler();
        let freed = match filler.is_dir() {
            true => std::fs::remove_dir_all(filler),
            false => std::fs::remove_file(filler),
        };
        freed.expect("make room");
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
    let disk = SmallDisk::mount(&cluster.data(), cluster.beside("pid"), "size=96m");
    std::fs::create_dir_all(cluster.data().join("images")).expect("a folder");
    e2e::archive(&cluster.data().join("images/tests.tar"));
    cluster.start_server();
    cluster.wait_for_node();
    let door = Door::of(&cluster);
    let kubectl = cluster.kubectl();
    // It writes to a log that cannot grow.
    let writes = "while true; do date; sleep 0.2; done";
    kubectl.apply(&critical(&cluster, "stays", e2e::BUSYBOX, writes));
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
    kubectl.apply(&critical(&cluster, "new", e2e::BUSYBOX, SLEEPS));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/new");
    kubectl.ok("delete pod stays new --timeout=60s");

    end_on(cluster, disk);
}

/// Room is there, but no inode is: nothing can be made that is a file of its
/// own.
pub fn inodes_run_out_and_come_back() {
    let mut cluster = Cluster::prepare(Options {
        without_images: true,
        ..Options::default()
    });
    let options = "size=256m,nr_inodes=3000";
    let disk = SmallDisk::mount(&cluster.data(), cluster.beside("pid"), options);
    std::fs::create_dir_all(cluster.data().join("images")).expect("a folder");
    e2e::archive(&cluster.data().join("images/tests.tar"));
    cluster.start_server();
    cluster.wait_for_node();
    let registry = Rogue::start(&cluster.beside("rogue"), &["good"]);
    let kubectl = cluster.kubectl().within("default");
    kubectl.apply(&critical(&cluster, "stays", e2e::BUSYBOX, SLEEPS));
    kubectl.ok("wait --for=condition=Ready --timeout=60s pod/stays");

    disk.fill_inodes();
    let door = Door::of(&cluster);
    let acknowledged = write_some(&door, 50);
    check_there(&door, &acknowledged);
    check_import(&cluster);
    let pulled = registry.image("good");
    kubectl.apply(&critical(&cluster, "late", e2e::BUSYBOX, SLEEPS));
    kubectl.apply(&critical(&cluster, "pulls", &pulled, SLEEPS));
    patiently(
        "events that say why",
        || {
            kubectl
                .run("get events --field-selector type=Warning -o jsonpath='{.items[*].message}'")
                .stdout
        },
        |said| said.contains("No space left on device"),
    );
    let pressure = format!(
        "get node {} -o jsonpath='{{.status.conditions[?(@.type==\"DiskPressure\")].status}}'",
        cluster.node()
    );
    patiently(
        "disk pressure",
        || kubectl.run(&pressure).stdout,
        |said| said == "True",
    );
    let alive = kubectl.run("exec stays -- echo alive");
    assert!(alive.is_ok(), "{alive:#?}");
    check_there(&door, &acknowledged);

    disk.free();
    kubectl.ok("wait --for=condition=Ready --timeout=90s pod/stays pod/late pod/pulls");
    cluster.kill_server();
    cluster.start_server();
    check_there(&door, &acknowledged);
    cluster.wait_for_node();
    let restarts = "get pod stays -o jsonpath='{.status.containerStatuses[0].restartCount}'";
    assert_eq!(kubectl.ok(restarts), "0");
    kubectl.ok("delete pod stays late pulls --timeout=60s");
    end_on(cluster, disk);
}

/// A pod of this node that must run whatever happens: the node neither refuses
/// nor ends it for want of room.
fn critical(cluster: &Cluster, name: &str, image: &str, script: &str) -> String {
    e2e::pod(
        name,
        &format!(
            "
            priorityClassName: system-node-critical
            nodeName: {}
            containers:
            - {{name: main, image: '{image}', command: [sh, -c, '{script}']}}
            ",
            cluster.node()
        ),
    )
}

/// Writes objects; those that were acknowledged. Others are refused in a way
/// that says why.
fn write_some(door: &Door, count: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..count {
        let name = format!("some-{number}");
        let reply = door.ask("POST", CONFIG_MAPS, &config_map(&name, 64 << 10));
        let reply = reply.expect("an answer");
        match reply.code {
            201 => acknowledged.push(name),
            code => {
                let message = reply.json()["message"].to_string();
                assert_eq!(code, 500, "{message}");
                assert!(message.contains("no space left"), "{message}");
            }
        }
    }
    acknowledged
}

/// An image does not come in, which is said and leaves nothing.
fn check_import(cluster: &Cluster) {
    let archive = cluster.beside("other.tar");
    e2e::archive_program(
        &archive,
        "docker.io/library/other:1",
        Path::new("/bin/busybox"),
    );
    let import = cluster.tiphys(&format!("image import {}", archive.display()));
    assert!(!import.is_ok(), "{import:#?}");
    assert!(
        import.stderr.contains("No space left on device"),
        "{import:#?}"
    );
    let ingest = cluster.data().join("agent/images/ingest");
    let left: Vec<PathBuf> = names_in(&ingest).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Ends a cluster that lives on a small disk.
fn end_on(mut cluster: Cluster, disk: SmallDisk) {
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

/// A ConfigMap of so many bytes.
pub fn config_map(name: &str, size: usize) -> String {
    let filler = "x".repeat(size);
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"filler":"{filler}"}}}}"#
    )
}
