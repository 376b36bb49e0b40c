//! `cargo xtask test`: everything that proves the project, in one command.
//!
//! Targets that fail are run once more, alone and one test at a time: on a
//! small or busy machine a whole cluster can miss a deadline that has nothing
//! to do with it. What then passes is named as unsteady; what fails again has
//! failed.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs all tests, or those that a filter names.
pub fn run(root: &Path, filter: &[String]) -> Result<()> {
    crate::codegen::run(root, true)?;
    crate::debian::ensure(crate::debian::EXAMPLE)?;
    crate::debian::kubectl()?;
    build(root)?;
    let failed = cargo_test(root, &["--workspace", "--no-fail-fast"], filter)?;
    let mut broken = Vec::new();
    for target in &failed {
        eprintln!("==> once more, alone: {target}");
        let selection: Vec<&str> = target.split_whitespace().collect();
        let mut alone = filter.to_vec();
        if !alone.iter().any(|argument| argument == "--") {
            alone.push("--".into());
        }
        alone.push("--test-threads=1".into());
        if !cargo_test(root, &selection, &alone)?.is_empty() {
            broken.push(target.as_str());
        }
    }
    let unsteady: Vec<&str> = failed
        .iter()
        .map(String::as_str)
        .filter(|t| !broken.contains(t))
        .collect();
    if !unsteady.is_empty() {
        eprintln!("unsteady, passed when run alone: {}", unsteady.join("; "));
    }
    match broken.is_empty() {
        true => Ok(()),
        false => bail!("these failed: {}", broken.join("; ")),
    }
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

/// Runs cargo test; gives the targets that failed, as arguments that select them.
fn cargo_test(root: &Path, selection: &[&str], filter: &[String]) -> Result<Vec<String>> {
    let mut child = Command::new(env!("CARGO"))
        .current_dir(root)
        .env("TIPHYS_BIN", binary(root))
        .arg("test")
        .args(selection)
        .args(filter)
        .stderr(Stdio::piped())
        .spawn()
        .context("run cargo test")?;
    let mut failed = Vec::new();
    let stderr = child.stderr.take().context("read what cargo says")?;
    for line in BufReader::new(stderr).lines() {
        let line = line.context("read what cargo says")?;
        eprintln!("{line}");
        failed.extend(target_of(&line));
    }
    let status = child.wait().context("wait for cargo test")?;
    match (status.success(), failed.is_empty()) {
        (false, true) => bail!("cargo test failed before any test ran"),
        _ => Ok(failed),
    }
}

/// The target that a line of cargo's names as failed:
/// ``error: test failed, to rerun pass `-p codec --lib` ``
fn target_of(line: &str) -> Option<String> {
    let rest = line
        .trim()
        .strip_prefix("error: test failed, to rerun pass `")?;
    Some(rest.trim_end_matches('`').to_string())
}

#[cfg(test)]
mod tests {
    use super::target_of;

    #[test]
    fn cargo_names_what_failed() {
        let line = "error: test failed, to rerun pass `-p codec --lib`";
        assert_eq!(target_of(line).as_deref(), Some("-p codec --lib"));
        assert_eq!(target_of("error: 1 target failed:"), None);
    }
}
