//! What a cluster leaves on the machine, and the end of clusters whose tests
//! were killed.

use crate::kubectl::Outcome;
use crate::machine::{self, cgroups, command_line, said, start_time};
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
        left.extend(mounts(&below));
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
        left.extend(links(services));
        left.extend(routes(services));
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

fn collect_processes(cgroup: &Path, into: &mut BTreeMap<u32, String>) {
    for pid in machine::processes(cgroup) {
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

fn lines_with(text: &str, part: &str, what: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(part));
    lines.map(|line| format!("{what} {line}")).collect()
}

/// Mounts below some places.
pub(crate) fn mounts(places: &[String]) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let is_ours = |line: &&str| places.iter().any(|place| line.contains(place.as_str()));
    let lines = mounts.lines().filter(is_ours);
    lines.map(|line| format!("mount {line}")).collect()
}

/// The node's ends of pods' links, which have the pod's address in their name.
pub(crate) fn links(services: &str) -> Vec<String> {
    let range = format!("0a{:02x}", pods_range(services));
    let text = said("ip", &["-oneline", "link"]);
    let names = text.lines().filter_map(|line| line.split(": ").nth(1));
    let names = names.filter_map(|name| name.split('@').next());
    names
        .filter(|name| name.starts_with("tp") && name.get(6..10) == Some(&*range))
        .map(|name| format!("link {name}"))
        .collect()
}

/// Routes to pods.
pub(crate) fn routes(services: &str) -> Vec<String> {
    let pods = format!("10.{}.", pods_range(services));
    let text = said("ip", &["route"]);
    let routes = text.lines().filter(|line| line.starts_with(&pods));
    routes.map(|line| format!("route {line}")).collect()
}

/// Pods have the range below that of the Services.
fn pods_range(services: &str) -> u16 {
    let second = services.split('.').nth(1).and_then(|n| n.parse().ok());
    second.unwrap_or(1) - 1
}
