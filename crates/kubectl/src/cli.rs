//! From the words of the command line to a command, with flags as upstream reads them.

use crate::commands::{self, Command};
use crate::completion;
use crate::error::Error;
use crate::globals::Globals;
use crate::io;
use crate::preferences;
use crate::shell::Shell;
use crate::usage::Refusal;
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

/// Commands that mean something else by `--user` than who calls.
const OWN_USER: [&str; 3] = [
    "kubectl create clusterrolebinding",
    "kubectl create rolebinding",
    "kubectl set subject",
];

/// The command that means something else by `--profile` than what is measured.
const OWN_PROFILE: &str = "kubectl debug";

/// Commands that read folders of files with all that is below them, unless they are told not to.
const RECURSIVE: [&str; 2] = ["selector", "wait"];

/// Runs a command line without the program's own name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(code) = completion::answer(&arguments) {
        return code;
    }
    if let Some(code) = commands::plugin::dispatch(&command(), &arguments) {
        return code;
    }
    let root = command();
    let arguments = match preferences::apply(&root, with_dashes(arguments)) {
        Ok(arguments) => arguments,
        Err(error) => {
            io::warn(format!("error occurred while applying preferences {error}"));
            return ExitCode::FAILURE;
        }
    };
    let called = called(&root, &arguments);
    let given = std::iter::once("kubectl".into()).chain(arguments.iter().cloned());
    let parsed = root.clone().try_get_matches_from(given);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let refusal = Refusal {
                root: &root,
                error: &error,
                called: &called,
                arguments: &arguments,
            };
            return refusal.tell();
        }
    };
    if OWN_USER.contains(&called.as_str()) {
        cli.globals.user = None;
    }
    if called == OWN_PROFILE {
        cli.globals.profile = "none".into();
    }
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
    let code = runtime.block_on(run(cli));
    // A read of standard input that nobody needs any more must not hold the exit.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(cli: Cli) -> u8 {
    let as_errors = cli.globals.warnings_as_errors;
    let shell = Shell::new(cli.globals);
    let done = match shell.globals.check() {
        Ok(()) => cli.command.run(&shell).await,
        Err(error) => Err(error),
    };
    let warned = match as_errors {
        true => shell.api().await.map_or(0, |api| api.warnings()),
        false => 0,
    };
    match done {
        Ok(()) if warned > 0 => {
            let plural = if warned == 1 { "" } else { "s" };
            Error::Said(format!("{warned} warning{plural} received")).report()
        }
        Ok(()) => 0,
        Err(error) => error.report(),
    }
}

/// The command line, its flags read as upstream's are: `--all=false`, `-o=json`, and values that
/// begin with a dash.
pub fn command() -> clap::Command {
    with_go_flags(Cli::command())
}

fn with_go_flags(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_string())
        .collect();
    let is_recursive = RECURSIVE.contains(&command.get_name());
    let mut command = command.mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => {
            let is_true = is_recursive && argument.get_long() == Some("recursive");
            argument
                .action(ArgAction::Set)
                .value_parser(truth)
                .num_args(0..=1)
                .require_equals(true)
                .default_value(if is_true { "true" } else { "false" })
                .default_missing_value("true")
                .hide_default_value(true)
                .hide_possible_values(true)
        }
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
        if word == "--" {
            break;
        }
        if let Some(below) = here.find_subcommand(word).filter(|_| word != "help") {
            path = format!("{path} {}", below.get_name());
            here = below;
        }
    }
    path
}

/// Option names with underscores are the same with dashes; what follows `--` is not ours.
fn with_dashes(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut ours = true;
    let each = arguments.into_iter().map(|word| {
        ours &= word != "--";
        match word.to_str() {
            Some(text) if ours && text.starts_with("--") => {
                let end = text.find('=').unwrap_or(text.len());
                format!("{}{}", text[..end].replace('_', "-"), &text[end..]).into()
            }
            _ => word,
        }
    });
    each.collect()
}

/// Truth as Go's strconv reads it.
fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("invalid syntax".into()),
    }
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

    #[test]
    fn some_commands_read_folders_to_the_end() {
        for (words, wanted) in [
            ("wait -f a", true),
            ("wait -f a -R=false", false),
            ("set selector -f a b=c", true),
            ("set image -f a b=c", false),
            ("apply -f a", false),
        ] {
            let given = std::iter::once("kubectl").chain(words.split(' '));
            let matches = command().try_get_matches_from(given).expect(words);
            let mut below = &matches;
            while let Some((_, deeper)) = below.subcommand() {
                below = deeper;
            }
            let recursive = below.get_one::<bool>("recursive").copied();
            assert_eq!(recursive, Some(wanted), "{words}");
        }
    }
}
