//! What pods leave on a machine while the cluster goes on running, and what a
//! server holds.

use e2e::{Cluster, eventually};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything on the machine that belongs to a cluster's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl Traces {
    /// What is there now.
    pub fn of(cluster: &Cluster) -> Traces {
        let mut found = BTreeSet::new();
        let instance = cluster.instance();
        let run = Path::new("/run/tiphys").join(&instance);
        for root in cgroups(&instance) {
            collect_cgroups(&root, &mut found);
        }
        let agent = cluster.data().join("agent");
        for folder in [
            run.join("containers"),
            agent.join("containers"),
            agent.join("kubelet/pods"),
            agent.join("kubelet/logs"),
            agent.join("images/holds"),
            agent.join("images/ingest"),
            agent.join("network/addresses"),
        ] {
            found.extend(names_in(&folder).map(|path| format!("file {}", path.display())));
        }
        let places = [
            cluster.data().display().to_string(),
            run.display().to_string(),
        ];
        let is_ours = |line: &&str| places.iter().any(|place| line.contains(place.as_str()));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts = mounts.lines().filter(is_ours);
        found.extend(mounts.map(|line| format!("mount {line}")));
        found.extend(processes_of(&places));
        found.extend(packet_filter(&instance));
        let routes = said("ip", &["route"]);
        let prefix = pods_prefix(cluster);
        let routes = routes.lines().filter(|line| line.starts_with(&prefix));
        found.extend(routes.map(|line| format!("route {line}")));
        Traces(found)
    }

    /// Waits until nothing is there that was not there before.
    #[track_caller]
    pub fn wait_for(&self, cluster: &Cluster) {
        let mut left = Vec::new();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("no traces of pods", || {
                let now = Traces::of(cluster);
                left = now.0.difference(&self.0).cloned().collect();
                left.is_empty().then_some(())
            })
        }));
        assert!(done.is_ok(), "left behind by pods: {left:#?}");
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Open descriptors.
    pub descriptors: usize,
    /// Resident memory that is its own, in KiB.
    pub memory_kib: u64,
    /// Processor time so far, in hundredths of a second.
    pub ticks: u64,
}

impl Vitals {
    /// Of the server.
    pub fn of(cluster: &Cluster) -> Vitals {
        let process = PathBuf::from(format!("/proc/{}", cluster.pid().as_raw_nonzero()));
        let status = std::fs::read_to_string(process.join("status")).expect("a running server");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().nth(0)?.parse().ok());
            number.unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        let stat = std::fs::read_to_string(process.join("stat")).expect("a running server");
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let times = after.split_whitespace().skip(11).take(2);
        Vitals {
            descriptors: names_in(&process.join("fd")).count(),
            memory_kib: field("RssAnon:"),
            ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum(),
        }
    }
}

fn cgroups(instance: &str) -> Vec<PathBuf> {
    let name = format!("tiphys-{instance}");
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = names_in(root).map(|path| path.join(&name));
    let all = hierarchies.chain([root.join(&name)]);
    all.filter(|path| path.exists()).collect()
}

fn collect_cgroups(path: &Path, found: &mut BTreeSet<String>) {
    // The one above all monitors comes with the first of them and stays.
    if !path.ends_with("monitors") {
        found.insert(format!("cgroup {}", path.display()));
    }
    let processes = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for process in processes.lines() {
        found.insert(format!("process {process} in {}", path.display()));
    }
    for child in names_in(path).filter(|path| path.is_dir()) {
        collect_cgroups(&child, found);
    }
}

/// Processes that are about the cluster, the server apart.
fn processes_of(places: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for process in names_in(Path::new("/proc")) {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_monitor = line.contains("monitor");
        if is_monitor && places.iter().any(|place| line.contains(place.as_str())) {
            found.push(format!("process {}: {line}", process.display()));
        }
    }
    found
}

/// The elements of the cluster's tables.
fn packet_filter(instance: &str) -> Vec<String> {
    let mut found = Vec::new();
    for table in said("nft", &["list", "tables"]).lines() {
        if table.contains(instance) {
            let words: Vec<&str> = table.split_whitespace().skip(1).collect();
            let [family, name] = words[..] else { continue };
            let text = said("nft", &["list", "table", family, name]);
            found.extend(text.lines().map(|line| format!("{name}: {}", line.trim())));
        }
    }
    found
}

fn names_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn pods_prefix(cluster: &Cluster) -> String {
    let services = cluster.service_prefix();
    let second: u16 = services
        .split('.')
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("the prefix of Services");
    format!("10.{}.", second - 1)
}

/// What a program prints.
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
