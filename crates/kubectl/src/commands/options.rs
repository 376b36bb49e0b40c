//! `options`: the options that every command takes.

use crate::error::Result;
use crate::io;
use crate::shell::Shell;

/// The arguments of `options`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs it.
pub async fn run(_: &Shell, _: Args) -> Result {
    io::line("The following options can be passed to any command:\n");
    let command = crate::cli::command();
    let globals = command.get_arguments().filter(|arg| arg.is_global_set());
    io::out(&crate::help::options("kubectl", globals));
    Ok(())
}
