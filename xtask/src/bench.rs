//! `cargo xtask bench`: measures the release build against the figures to
//! beat and keeps SPECIFICATION.md.

use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds and measures. Arguments are those of the program `bench`.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    crate::debian::ensure(crate::debian::EXAMPLE)?;
    let given = args.iter().any(|arg| arg.starts_with("--kubeconfig"));
    build(root, given)?;
    let programs = target(root).join("release");
    let mut command = Command::new(programs.join("bench"));
    if !given {
        command
            .arg("--tiphys")
            .arg(programs.join("tiphys"))
            .arg("--write")
            .arg(root.join("SPECIFICATION.md"));
    }
    let status = command.args(args).status().context("run bench")?;
    match status.success() {
        true => Ok(()),
        false => bail!("not everything could be measured"),
    }
}

/// The program that measures, and the one that is measured.
fn build(root: &Path, given: bool) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root)
        .args(["build", "--release", "--package", "bench"]);
    if !given {
        command.args(["--package", "tiphys"]);
    }
    match command.status().context("run cargo build")?.success() {
        true => Ok(()),
        false => bail!("the build failed"),
    }
}

fn target(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root.join(dir),
        None => root.join("target"),
    }
}
