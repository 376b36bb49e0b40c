//! `cargo xtask test`: everything that proves the project, in one command.
//!
//! Targets that fail are run once more, alone and one test at a time: on a
//! small or busy machine a whole cluster can miss a deadline that has nothing
//! to do with it. What then passes is named as unsteady; what fails again has
//! failed. No target runs for ever: one that hangs is ended and has failed.
//! Then the simulation runs many seeds, optimised, as that is what takes long.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);
/// What one target may take; those that start clusters give up before.
const LIMIT: Duration = Duration::from_secs(13 * 60);
/// The simulation's seeds: the first, and how many there are. What is left out between takes
/// minutes (docs/status.md).
const SEEDS: [(u32, u32); 2] = [(6001, 1800), (8001, 1200)];

/// Runs all tests, or those that a filter names.
pub fn run(root: &Path, filter: &[String]) -> Result<()> {
    crate::codegen::run(root, true)?;
    crate::debian::ensure(crate::debian::TESTS)?;
    crate::debian::kubectl()?;
    build(root)?;
    let failed = cargo_test(root, &["--workspace", "--no-fail-fast"], filter)?;
    let mut broken = Vec::new();
    for failed in &failed {
        let target = &failed.target;
        eprintln!("==> once more, alone: {target}");
        if !passes_alone(root, failed, filter)? {
            broken.push(target.as_str());
        }
    }
    let unsteady: Vec<&str> = failed
        .iter()
        .map(|failed| failed.target.as_str())
        .filter(|t| !broken.contains(t))
        .collect();
    if !unsteady.is_empty() {
        eprintln!("unsteady, passed when run alone: {}", unsteady.join("; "));
    }
    if filter.is_empty() && !simulate(root)? {
        broken.push("the simulation");
    }
    match broken.is_empty() {
        true => Ok(()),
        false => bail!("these failed: {}", broken.join("; ")),
    }
}

/// Whether everything holds under many seeds of the simulation; each that fails is named with the
/// command that replays it.
fn simulate(root: &Path) -> Result<bool> {
    let mut is_well = true;
    for (from, count) in SEEDS {
        let status = Command::new(env!("CARGO"))
            .current_dir(root)
            .args(["run", "--profile", "sim", "-p", "sim", "--"])
            .args(["--from", &from.to_string(), "--seeds", &count.to_string()])
            .status()
            .context("run the simulation")?;
        is_well &= status.success();
    }
    Ok(is_well)
}

/// The binary that whole-cluster tests start, built with the features of the
/// whole workspace, so that nothing is compiled twice.
fn build(root: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    let status = command
        .current_dir(root)
        .args(["build", "--workspace", "--bins"])
        .status()
        .context("run cargo build")?;
    match status.success() {
        true => Ok(()),
        false => bail!("the build failed"),
    }
}

/// Where that binary is.
fn binary(root: &Path) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("debug/tiphys")
}

/// Runs cargo test; gives the targets that failed.
fn cargo_test(root: &Path, selection: &[&str], filter: &[String]) -> Result<Vec<Failed>> {
    let mut child = Command::new(env!("CARGO"))
        .current_dir(root)
        .env("TIPHYS_BIN", binary(root))
        .arg("test")
        .args(selection)
        .args(filter)
        .stderr(Stdio::piped())
        .spawn()
        .context("run cargo test")?;
    let stderr = child.stderr.take().context("read what cargo says")?;
    let heard = Arc::new(Mutex::new(Heard::default()));
    let reader = {
        let (heard, root) = (heard.clone(), root.to_path_buf());
        // What a test leaves behind may hold the pipe open for ever, so nobody
        // waits for its end.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{line}");
                lock(&heard).hear(&root, &line);
            }
        })
    };
    let status = wait(&mut child, || lock(&heard).late())?;
    for _ in 0..50 {
        if reader.is_finished() {
            break;
        }
        std::thread::sleep(TICK);
    }
    let failed = std::mem::take(&mut lock(&heard).failed);
    match (status.success(), failed.is_empty()) {
        (false, true) => bail!("cargo test failed before any test ran"),
        _ => Ok(failed),
    }
}

/// Runs a target that failed once more, without compiling anything; whether
/// it passes.
fn passes_alone(root: &Path, failed: &Failed, filter: &[String]) -> Result<bool> {
    let package = failed.package().map(|name| folder_of(root, name));
    let (Some(executable), Some(folder), true) = (&failed.executable, package, filter.is_empty())
    else {
        let selection: Vec<&str> = failed.target.split_whitespace().collect();
        let mut alone = filter.to_vec();
        if !alone.iter().any(|argument| argument == "--") {
            alone.push("--".into());
        }
        alone.push("--test-threads=1".into());
        return Ok(cargo_test(root, &selection, &alone)?.is_empty());
    };
    let mut child = Command::new(executable)
        .current_dir(&folder)
        .env("CARGO_MANIFEST_DIR", &folder)
        .env("TIPHYS_BIN", binary(root))
        .arg("--test-threads=1")
        .spawn()
        .with_context(|| format!("run {}", executable.display()))?;
    let mut clock = Running::new(executable.clone());
    Ok(wait(&mut child, || clock.tick())?.success())
}

fn folder_of(root: &Path, package: &str) -> PathBuf {
    let folder = root.join("crates").join(package);
    match folder.exists() {
        true => folder,
        false => root.join(package),
    }
}

/// Waits for a child, and ends the executables that take too long meanwhile.
fn wait(child: &mut Child, mut late: impl FnMut() -> Option<PathBuf>) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().context("wait for tests")? {
            return Ok(status);
        }
        if let Some(executable) = late() {
            let name = executable.display();
            eprintln!("took more than {} s and is ended: {name}", LIMIT.as_secs());
            end(child.id(), &executable);
        }
        std::thread::sleep(TICK);
    }
}

/// Ends a child, or a child of it, that runs an executable.
fn end(child: u32, executable: &Path) {
    let parent = format!("PPid:\t{child}");
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_it = std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == executable);
        let name = entry.file_name().to_string_lossy().into_owned();
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let is_near = name == child.to_string() || status.lines().any(|line| line == parent);
        if is_it && is_near {
            let _ = Command::new("kill").args(["-9", &name]).status();
        }
    }
}

/// A target that failed: the arguments that select it, and what it was.
#[derive(Debug)]
struct Failed {
    target: String,
    executable: Option<PathBuf>,
}

impl Failed {
    fn package(&self) -> Option<&str> {
        self.target.strip_prefix("-p ")?.split_whitespace().next()
    }
}

/// An executable that runs.
#[derive(Debug)]
struct Running {
    executable: PathBuf,
    ticks: u32,
}

impl Running {
    fn new(executable: PathBuf) -> Self {
        let executable = executable.canonicalize().unwrap_or(executable);
        Running {
            executable,
            ticks: 0,
        }
    }

    /// What it is, at the moment when it has run for too long.
    fn tick(&mut self) -> Option<PathBuf> {
        self.ticks += 1;
        (TICK * self.ticks == LIMIT).then(|| self.executable.clone())
    }
}

/// What cargo has said.
#[derive(Debug, Default)]
struct Heard {
    running: Option<Running>,
    failed: Vec<Failed>,
}

impl Heard {
    fn hear(&mut self, root: &Path, line: &str) {
        let word = line.trim();
        if word.starts_with("Doc-tests ") {
            self.running = None;
        } else if let Some(executable) = executable_of(word) {
            self.running = Some(Running::new(root.join(executable)));
        } else if let Some(target) = target_of(word) {
            let executable = self.running.as_ref().map(|run| run.executable.clone());
            self.failed.push(Failed { target, executable });
        }
    }

    fn late(&mut self) -> Option<PathBuf> {
        self.running.as_mut()?.tick()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The executable that cargo says it runs:
/// `Running unittests src/lib.rs (target/debug/deps/codec-60b734e78e2332d8)`
fn executable_of(line: &str) -> Option<&str> {
    let (_, path) = line.strip_prefix("Running ")?.rsplit_once('(')?;
    path.strip_suffix(')')
}

/// The target that a line of cargo's names as failed:
/// ``error: test failed, to rerun pass `-p codec --lib` ``
fn target_of(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("error: ")?;
    let rest = rest.strip_prefix("doc").unwrap_or(rest);
    let rest = rest.strip_prefix("test failed, to rerun pass `")?;
    Some(rest.trim_end_matches('`').to_string())
}

#[cfg(test)]
mod tests {
    use super::{Heard, target_of};
    use std::path::Path;

    #[test]
    fn cargo_names_what_failed() {
        let line = "error: test failed, to rerun pass `-p codec --lib`";
        assert_eq!(target_of(line).as_deref(), Some("-p codec --lib"));
        assert_eq!(target_of("error: 1 target failed:"), None);
    }

    #[test]
    fn what_failed_is_known_by_its_executable() {
        let mut heard = Heard::default();
        for line in [
            "     Running unittests src/lib.rs (deps/codec-60b734e78e2332d8)",
            "     Running tests/dns.rs (deps/dns-f67cc3756bb4a8e8)",
            "error: test failed, to rerun pass `-p e2e --test dns`",
            "   Doc-tests client",
            "error: doctest failed, to rerun pass `-p client --doc`",
        ] {
            heard.hear(Path::new("/absent"), line);
        }
        assert_eq!(heard.failed.len(), 2);
        assert_eq!(heard.failed[1].target, "-p client --doc");
        let failed = &heard.failed[0];
        assert_eq!(failed.package(), Some("e2e"));
        let executable = failed.executable.as_deref();
        assert_eq!(
            executable,
            Some(Path::new("/absent/deps/dns-f67cc3756bb4a8e8"))
        );
    }
}
