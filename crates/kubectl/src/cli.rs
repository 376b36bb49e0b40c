//! From the words of the command line to a command, with flags as upstream reads them.

use crate::commands::{self, Command};
use crate::error::Error;
use crate::globals::Globals;
use crate::io;
use crate::shell::Shell;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

/// kubectl controls the Kubernetes cluster manager.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl",
    args_override_self = true,
    disable_help_subcommand = false,
    disable_version_flag = true
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Runs a command line without the program's own name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(code) = commands::completion::complete(&arguments) {
        return code;
    }
    if let Some(code) = commands::plugin::dispatch(&command(), &arguments) {
        return code;
    }
    let called = called(&command(), &arguments);
    let given = std::iter::once("kubectl".into()).chain(arguments);
    let matches = match command().try_get_matches_from(given) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error, &called),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &called),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            io::warn(format!("error: start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(cli, &called));
    // A read of standard input that nobody needs any more must not hold the exit.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(cli: Cli, called: &str) -> u8 {
    let as_errors = cli.globals.warnings_as_errors;
    let shell = Shell::new(cli.globals);
    let done = cli.command.run(&shell).await;
    let warned = match shell.api().await {
        Ok(api) if as_errors => api.warnings(),
        _ => 0,
    };
    match done {
        Ok(()) if warned > 0 => {
            let plural = if warned == 1 { "" } else { "s" };
            Error::Said(format!("{warned} warning{plural} received")).report()
        }
        Ok(()) => 0,
        Err(Error::Absent) => Error::Said(format!(
            "{called:?} is not supported yet; use a stock kubectl with the same kubeconfig"
        ))
        .report(),
        Err(error) => error.report(),
    }
}

/// The command line, its flags read as upstream's are: `--all=false`, `-o=json`, and values that
/// begin with a dash.
pub(crate) fn command() -> clap::Command {
    with_go_flags(Cli::command())
}

fn with_go_flags(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_string())
        .collect();
    let mut command = command.mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .value_parser(clap::value_parser!(bool))
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true),
        ArgAction::Set | ArgAction::Append
            if !argument.is_positional() && !argument.is_require_equals_set() =>
        {
            argument.allow_hyphen_values(true)
        }
        _ => argument,
    });
    for name in names {
        command = command.mut_subcommand(name, with_go_flags);
    }
    command
}

/// The command that is called: `kubectl rollout status`.
fn called(command: &clap::Command, arguments: &[OsString]) -> String {
    let mut here = command;
    let mut path = String::from("kubectl");
    for word in arguments.iter().filter_map(|word| word.to_str()) {
        if let Some(below) = here.find_subcommand(word) {
            path = format!("{path} {}", below.get_name());
            here = below;
        }
    }
    path
}

/// Says what is wrong with a command line in the words of upstream's flag library.
fn refuse(error: &clap::Error, called: &str) -> ExitCode {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            io::out(&error.to_string());
            return ExitCode::SUCCESS;
        }
        ErrorKind::InvalidSubcommand => {
            io::warn(format!(
                "error: unknown command \"{}\" for \"kubectl\"",
                text(ContextKind::InvalidSubcommand)
            ));
        }
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg);
            match flag.strip_prefix("--") {
                Some(_) => io::warn(format!("error: unknown flag: {flag}")),
                None if flag.starts_with('-') => io::warn(format!(
                    "error: unknown shorthand flag: '{}' in {flag}",
                    flag.chars().nth(1).unwrap_or('-')
                )),
                None => io::warn(format!("error: unexpected argument {flag}")),
            }
            io::warn(format!("See '{called} --help' for usage."));
        }
        _ => io::warn(error.to_string().trim_end()),
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        let given = std::iter::once("kubectl").chain(words.split(' '));
        let matches = command().try_get_matches_from(given)?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn the_table_of_commands_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_read_as_upstream_reads_them() {
        for words in [
            "-n web get pods -A -o=json --watch=false",
            "get -A=true pods -ojson --all-namespaces",
            "get pods --show-labels -L app,tier --sort-by .metadata.name",
        ] {
            assert!(parse(words).is_ok(), "{words}");
        }
        assert!(parse("get pods --xyz").is_err());
    }
}
