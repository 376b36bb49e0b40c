//! What this machine says of processes, cgroups and itself.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What tells a process from a later one of the same number.
pub fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(String::from)
}

/// The words that a process was started with; none when it has ended.
pub fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The process that started another, or took it over.
pub fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// Kills a process as nothing can forbid; whether it was there.
pub fn kill(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The cgroups of an instance, in all hierarchies.
pub fn cgroups(instance: &str) -> Vec<PathBuf> {
    let name = format!("tiphys-{instance}");
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = names_in(root).map(|path| path.join(&name));
    hierarchies
        .chain([root.join(&name)])
        .filter(|path| path.exists())
        .collect()
}

/// The processes of a cgroup, without those of the groups below.
pub fn processes(cgroup: &Path) -> Vec<u32> {
    let procs = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The processes of a cgroup and of the groups below.
pub fn processes_below(cgroup: &Path) -> BTreeSet<u32> {
    let mut found: BTreeSet<u32> = processes(cgroup).into_iter().collect();
    for child in names_in(cgroup).filter(|path| path.is_dir()) {
        found.append(&mut processes_below(&child));
    }
    found
}

/// What is in a folder; nothing when there is no such folder.
pub fn names_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// What a program prints; nothing when it cannot be run.
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
