//! `cargo xtask test`: everything that proves the project, in one command.

use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs all tests, or those that a filter names.
pub fn run(root: &Path, filter: &[String]) -> Result<()> {
    crate::codegen::run(root, true)?;
    crate::debian::ensure(crate::debian::EXAMPLE)?;
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(filter)
        .status()
        .context("run cargo test")?;
    match status.success() {
        true => Ok(()),
        false => bail!("tests failed"),
    }
}
