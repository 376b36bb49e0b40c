//! What a cluster leaves on the machine, and the end of clusters whose tests
//! were killed.

use crate::kubectl::Outcome;
use crate::slot;
use crate::wait::look_for;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of an instance, as the binary derives it.
pub(crate) fn instance(data: &Path) -> String {
    let digest = images::Digest::of(data.as_os_str().as_encoded_bytes()).hex();
    digest.chars().take(8).collect()
}

/// Processes that ran below a cluster before it was reset.
pub(crate) struct Seen {
    processes: BTreeMap<u32, String>,
}

impl Seen {
    pub(crate) fn of(data: &Path) -> Seen {
        let mut processes = BTreeMap::new();
        for cgroup in cgroups(&instance(data)) {
            collect_processes(&cgroup, &mut processes);
        }
        Seen { processes }
    }

    /// What is still there.
    pub(crate) fn left(&self, data: &Path, services: &str) -> Vec<String> {
        let instance = instance(data);
        let mut left = Vec::new();
        // The kernel may take a moment to bury what was killed.
        look_for(20, || {
            left = self.look(data, &instance, services);
            left.is_empty().then_some(())
        });
        left
    }

    fn look(&self, data: &Path, instance: &str, services: &str) -> Vec<String> {
        let mut left = Vec::new();
        for (pid, started) in &self.processes {
            if start_time(*pid).as_ref() == Some(started) {
                left.push(format!("process {pid}: {}", command_line(*pid)));
            }
        }
        let run = Path::new("/run/tiphys").join(instance);
        for folder in [data, &run] {
            if folder.exists() {
                left.push(format!("folder {}", folder.display()));
            }
        }
        let below = [data.display().to_string(), run.display().to_string()];
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let is_below = |line: &&str| below.iter().any(|path| line.contains(path.as_str()));
        left.extend(
            mounts
                .lines()
                .filter(is_below)
                .map(|line| format!("mount {line}")),
        );
        left.extend(
            cgroups(instance)
                .iter()
                .map(|path| format!("cgroup {}", path.display())),
        );
        let tables = said("nft", &["list", "tables"]);
        left.extend(lines_with(&tables, instance, "table"));
        left.extend(lines_with(
            &said("ip", &["-brief", "address"]),
            &format!(" {services}"),
            "address",
        ));
        let pods = pods_prefix(services);
        left.extend(lines_with(&said("ip", &["route"]), &pods, "route"));
        left
    }
}

/// Ends the clusters whose tests are gone.
pub(crate) fn sweep() {
    let Ok(entries) = std::fs::read_dir(slot::folder()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner_of(&name) else {
            continue;
        };
        if start_time(owner).is_none() {
            end_stale(&entry.path());
        }
    }
}

/// The clusters of this process that have not ended.
pub(crate) fn own() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(slot::folder()).into_iter().flatten();
    let own = entries.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        owner_of(&name) == Some(std::process::id())
    });
    own.map(|entry| entry.path()).collect()
}

/// The process whose tests a cluster belongs to.
fn owner_of(name: &str) -> Option<u32> {
    name.split_once('-').and_then(|(pid, _)| pid.parse().ok())
}

/// Ends a cluster, whatever it does.
pub(crate) fn end_stale(root: &Path) {
    let data = root.join("data");
    let pid = std::fs::read_to_string(root.join("pid")).unwrap_or_default();
    if let Ok(pid) = pid.parse::<u32>()
        && command_line(pid).contains(&*data.to_string_lossy())
    {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        look_for(50, || start_time(pid).is_none().then_some(()));
    }
    let mut reset = Command::new(crate::tiphys());
    let outcome = Outcome::of(reset.args(["reset", "--purge", "--data-dir"]).arg(&data));
    if outcome.is_ok() {
        let _ = std::fs::remove_dir_all(root);
    }
}

/// The cgroups of an instance, in all hierarchies.
pub(crate) fn cgroups(instance: &str) -> Vec<PathBuf> {
    let name = format!("tiphys-{instance}");
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten();
    hierarchies
        .map(|entry| entry.path().join(&name))
        .chain([root.join(&name)])
        .filter(|path| path.exists())
        .collect()
}

fn collect_processes(cgroup: &Path, into: &mut BTreeMap<u32, String>) {
    let procs = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in procs.lines().filter_map(|line| line.parse().ok()) {
        if let Some(started) = start_time(pid) {
            into.insert(pid, started);
        }
    }
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect_processes(&entry.path(), into);
        }
    }
}

/// What tells a process from a later one of the same number.
pub(crate) fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(String::from)
}

pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn lines_with(text: &str, part: &str, what: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(part));
    lines.map(|line| format!("{what} {line}")).collect()
}

/// Pods have the range below that of the Services.
fn pods_prefix(services: &str) -> String {
    let second: u16 = services
        .split('.')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    format!("10.{}.", second - 1)
}
