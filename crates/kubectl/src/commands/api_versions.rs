//! `api-versions`: the groups and versions that the cluster serves.

use crate::error::Result;
use crate::io;
use crate::shell::Shell;

/// The arguments of `api-versions`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs it.
pub async fn run(shell: &Shell, _: Args) -> Result {
    let mut all = shell.discovery().await?.group_versions.clone();
    all.sort();
    all.iter().for_each(io::line);
    Ok(())
}
