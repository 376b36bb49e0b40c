//! The tiphys binary: roles, configuration and wiring; no logic.

mod bootstrap;
mod cli;
mod config;
mod identity;
mod instance;
mod kubelets;
mod logging;
mod node;
mod preflight;
mod roles;
mod watch_objects;

use anyhow::{Result, bail};
use cli::Command;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A process started as a pod's monitor must become one before any thread starts.
    if let Some(code) = container::monitor::intercept() {
        return code;
    }
    if let Some(arguments) = kubectl_arguments() {
        return kubectl::main(arguments);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What follows `tiphys kubectl`, or all when the binary is called as `kubectl`.
fn kubectl_arguments() -> Option<Vec<OsString>> {
    let mut given = std::env::args_os();
    let called = given.next()?;
    if Path::new(&called).file_name() == Some(OsStr::new("kubectl")) {
        return Some(given.collect());
    }
    (given.next()? == "kubectl").then(|| given.collect())
}

fn run() -> Result<()> {
    match config::parse()?.command {
        Command::Server(args) => roles::server::run(*args),
        Command::Image { data_dir, command } => roles::image::run(&data_dir, command),
        Command::Reset { data_dir, purge } => roles::reset::run(&data_dir, purge),
        Command::Agent => {
            bail!("joining a node to a server is not supported yet; a server runs its own node")
        }
        Command::Token { .. } => bail!("join tokens are not supported yet"),
        Command::Kubectl { .. } => bail!("kubectl is the first word of its own command line"),
        Command::Backup { .. } => {
            bail!("backup is not supported yet; stop the server and copy its data directory")
        }
        Command::Restore { .. } => bail!(
            "restore is not supported yet; stop the server and put a copy of its data directory in place"
        ),
    }
}
