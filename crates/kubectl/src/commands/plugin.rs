//! `plugin`, and programs called `kubectl-<name>` that add commands.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin.go and pkg/cmd/cmd.go.

use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use clap::Subcommand;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const PREFIX: &str = "kubectl-";

/// The arguments of `plugin`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List all visible plugin executables on a user's PATH.
    List {
        /// Only the names, not the full paths.
        #[arg(long)]
        name_only: bool,
    },
}

/// Runs it.
pub async fn run(_: &Shell, args: Args) -> Result {
    let What::List { name_only } = args.command;
    let found = all();
    if found.is_empty() {
        return said("unable to find any kubectl plugins in your PATH");
    }
    io::line("The following compatible plugins are available:\n");
    for path in found {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        match name_only {
            true => io::line(name.unwrap_or_default()),
            false => io::line(path.to_string_lossy()),
        }
    }
    Ok(())
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

fn all() -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = Vec::new();
    for folder in folders() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut here: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                name.is_some_and(|name| name.starts_with(PREFIX)) && is_program(path)
            })
            .collect();
        here.sort();
        out.extend(here);
    }
    out
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Becomes a plugin when the words name one rather than a command of our own.
pub fn dispatch(command: &clap::Command, arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .take_while(|word| !word.starts_with('-'))
        .collect();
    let first = words.first()?;
    if first == "help" || command.find_subcommand(first).is_some() {
        return None;
    }
    // The longest name wins: `kubectl a b c` looks for kubectl-a-b-c first.
    for n in (1..=words.len()).rev() {
        let name: Vec<String> = words[..n].iter().map(|w| w.replace('-', "_")).collect();
        let name = format!("{PREFIX}{}", name.join("-"));
        let found = folders()
            .into_iter()
            .map(|folder| folder.join(&name))
            .find(|path| is_program(path));
        if let Some(program) = found {
            let error = std::process::Command::new(&program)
                .args(&arguments[n..])
                .exec();
            io::warn(format!("error: run {}: {error}", program.display()));
            return Some(ExitCode::FAILURE);
        }
    }
    None
}
