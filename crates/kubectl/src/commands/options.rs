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
    for argument in command.get_arguments().filter(|a| a.is_global_set()) {
        let Some(long) = argument.get_long() else {
            continue;
        };
        let short = argument
            .get_short()
            .map(|c| format!("-{c}, "))
            .unwrap_or_default();
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        io::line(format!("    {short}--{long}:\n\t{help}\n"));
    }
    Ok(())
}
