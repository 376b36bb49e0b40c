//! What makes the program easy to learn: manual pages, and shells that complete its command lines.

use crate::cli::Cli;
use anyhow::{Context as _, Result, bail};
use clap::CommandFactory as _;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Writes a page for each command of this program and of its kubectl.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let version = format!("tiphys {}", apiserver::version::GIT_VERSION);
    for root in [Cli::command(), kubectl::command()] {
        for (name, text) in kubectl::man::pages(&root, &version) {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Prints the script for a shell. What is below `tiphys kubectl` is completed too.
pub fn completion(shell: &str) -> Result<()> {
    match kubectl::script(shell, "tiphys", "__complete") {
        Some(script) => print!("{script}"),
        None => bail!("completion for {shell} is not supported"),
    }
    Ok(())
}

/// Answers a shell that asks what may come next: `tiphys __complete WORDS...`.
pub fn complete() -> Option<ExitCode> {
    let mut given: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_below_kubectl = given.len() > 2 && given[1] == "kubectl";
    if is_below_kubectl {
        given.remove(1);
        return kubectl::answer(&given);
    }
    kubectl::answer_for(Cli::command, &given)
}
