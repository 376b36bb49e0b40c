//! The processes of a cluster's pods, as its cgroups show them.

use e2e::Cluster;
use e2e::machine::{cgroups, command_line, parent, processes_below};
use std::collections::{BTreeMap, BTreeSet};

/// Who runs at a moment.
#[derive(Debug, Default)]
pub struct Processes {
    /// Monitors and the holders of process namespaces.
    pub monitors: BTreeSet<u32>,
    /// Processes of containers.
    pub contained: BTreeSet<u32>,
}

impl Processes {
    /// Of a cluster, now.
    pub fn of(cluster: &Cluster) -> Processes {
        Processes::of_instance(&cluster.instance())
    }

    /// Of the instance of this name, now.
    pub fn of_instance(instance: &str) -> Processes {
        let mut found = Processes::default();
        for root in cgroups(instance) {
            found
                .monitors
                .append(&mut processes_below(&root.join("monitors")));
            found
                .contained
                .append(&mut processes_below(&root.join("kubepods")));
        }
        // A container that is being made is in the monitor's cgroup at first.
        found.monitors.retain(|pid| !found.contained.contains(pid));
        found
    }

    /// Those that sleep for a time that is theirs alone, by that time.
    pub fn sleepers(&self) -> BTreeMap<String, Vec<u32>> {
        let mut sleepers = BTreeMap::<String, Vec<u32>>::new();
        for pid in &self.contained {
            if let Some(time) = sleeps_for(*pid) {
                sleepers.entry(time).or_default().push(*pid);
            }
        }
        sleepers
    }

    /// The monitor that a monitor or its holder belongs to.
    pub fn monitor_of(&self, pid: u32) -> u32 {
        match parent(pid) {
            Some(parent) if self.monitors.contains(&parent) => parent,
            _ => pid,
        }
    }
}

/// How long a process sleeps, if that is what it does.
pub fn sleeps_for(pid: u32) -> Option<String> {
    let line = command_line(pid);
    let (program, time) = line.trim_end().split_once(' ')?;
    (program == "sleep").then(|| time.to_string())
}
