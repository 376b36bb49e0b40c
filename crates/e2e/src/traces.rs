//! What pods leave on a machine while the cluster goes on running: files,
//! mounts, processes, cgroups, links, routes, elements of tables.

use crate::machine::{cgroups, command_line, names_in, processes, said};
use crate::wait::eventually;
use crate::{Cluster, leaks};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Everything on the machine that belongs to a cluster's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl Traces {
    /// What is there now.
    pub fn of(cluster: &Cluster) -> Traces {
        let instance = cluster.instance();
        let run = Path::new("/run/tiphys").join(&instance);
        let places = [cluster.data(), run.clone()].map(|path| path.display().to_string());
        let services = cluster.service_prefix();
        let mut found: BTreeSet<String> = files(cluster, &run).collect();
        for root in cgroups(&instance) {
            collect_cgroups(&root, &mut found);
        }
        found.extend(leaks::mounts(&places));
        found.extend(monitors(&places));
        found.extend(packet_filter(&instance));
        found.extend(leaks::links(&services));
        found.extend(leaks::routes(&services));
        Traces(found)
    }

    /// Waits until nothing is there that was not there before.
    ///
    /// # Panics
    /// With what stays.
    #[track_caller]
    pub fn wait_for(&self, cluster: &Cluster) {
        let mut left = Vec::new();
        let done = catch_unwind(AssertUnwindSafe(|| {
            eventually("no traces of pods", || {
                let now = Traces::of(cluster);
                left = now.0.difference(&self.0).cloned().collect();
                left.is_empty().then_some(())
            })
        }));
        assert!(done.is_ok(), "left behind by pods: {left:#?}");
    }
}

/// What the node keeps of each pod.
fn files(cluster: &Cluster, run: &Path) -> impl Iterator<Item = String> + use<> {
    let agent = cluster.data().join("agent");
    let folders = [
        run.join("containers"),
        agent.join("containers"),
        agent.join("kubelet/pods"),
        agent.join("kubelet/logs"),
        agent.join("images/holds"),
        agent.join("images/ingest"),
        agent.join("network/addresses"),
    ];
    let all = folders.into_iter().flat_map(|folder| names_in(&folder));
    all.map(|path| format!("file {}", path.display()))
}

fn collect_cgroups(path: &Path, found: &mut BTreeSet<String>) {
    // The one above all monitors comes with the first of them and stays.
    if !path.ends_with("monitors") {
        found.insert(format!("cgroup {}", path.display()));
    }
    for process in processes(path) {
        found.insert(format!("process {process} in {}", path.display()));
    }
    let children: Vec<PathBuf> = names_in(path).filter(|path| path.is_dir()).collect();
    for child in children {
        collect_cgroups(&child, found);
    }
}

/// Monitors, whatever cgroup they are in.
fn monitors(places: &[String]) -> Vec<String> {
    let pids = names_in(Path::new("/proc")).filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    });
    let lines = pids.map(|pid| (pid, command_line(pid)));
    lines
        .filter(|(_, line)| line.contains("monitor"))
        .filter(|(_, line)| places.iter().any(|place| line.contains(place.as_str())))
        .map(|(pid, line)| format!("process {pid}: {line}"))
        .collect()
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
