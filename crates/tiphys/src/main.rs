//! The tiphys binary: roles, configuration and wiring; no logic.

mod bootstrap;
mod cli;
mod component_args;
mod config;
mod identity;
mod instance;
mod kubelet_options;
mod kubelets;
mod logging;
mod node;
mod node_role;
mod notify;
mod preflight;
mod roles;
mod server_args;
mod watch_objects;

use anyhow::{Result, bail};
use cli::{CertificateCommand, Command};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// The system's allocator gives each thread a heap of its own and keeps what
/// lies free in all of them. How this one is set up stands in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // A process started as a pod's monitor must become one before any thread starts.
    if let Some(code) = container::monitor::intercept() {
        return code;
    }
    if let Some(arguments) = kubectl_arguments() {
        return kubectl::main(arguments);
    }
    if let Some(code) = roles::manual::complete() {
        return code;
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
        Command::Token {
            kubeconfig,
            command,
        } => roles::token::run(&kubeconfig, command),
        Command::Kubectl { .. } => bail!("kubectl is the first word of its own command line"),
        Command::Backup {
            data_dir,
            config,
            file,
        } => roles::backup::backup(&data_dir, &config, &file),
        Command::Restore {
            data_dir,
            config,
            file,
        } => roles::backup::restore(&data_dir, &config, &file),
        Command::Certificate { data_dir, command } => match command {
            CertificateCommand::Check => roles::certificate::check(&data_dir),
            CertificateCommand::Rotate => roles::certificate::rotate(&data_dir),
        },
        Command::Check(args) => roles::check::run(*args),
        Command::Install {
            no_start,
            root,
            arguments,
        } => roles::install::install(&root, !no_start, &arguments),
        Command::Man { folder } => roles::manual::write(&folder),
        Command::Completion { shell } => roles::manual::completion(&shell),
        Command::Uninstall { data_dir, root } => roles::install::uninstall(&root, &data_dir),
    }
}
