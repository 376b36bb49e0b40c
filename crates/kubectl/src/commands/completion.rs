//! `completion`: small shell scripts that ask this program what may come next.

use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use std::ffi::OsString;
use std::process::ExitCode;

/// The arguments of `completion`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// bash, zsh or fish.
    shell: String,
}

const BASH: &str = r#"# bash completion for kubectl
__kubectl_complete() {
    local IFS=$'\n'
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null | cut -f1))
}
complete -o default -F __kubectl_complete kubectl
"#;

const ZSH: &str = r#"#compdef kubectl
compdef _kubectl kubectl
_kubectl() {
    local -a found
    local line
    for line in "${(@f)$(${words[1]} __complete ${words[2,CURRENT]} 2>/dev/null)}"; do
        [ -n "$line" ] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe 'kubectl' found
}
if [ "$funcstack[1]" = "_kubectl" ]; then
    _kubectl
fi
"#;

const FISH: &str = r#"# fish completion for kubectl
function __kubectl_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c kubectl -f -a '(__kubectl_complete)'
"#;

/// Runs it.
pub async fn run(_: &Shell, args: Args) -> Result {
    match args.shell.as_str() {
        "bash" => io::out(BASH),
        "zsh" => io::out(ZSH),
        "fish" => io::out(FISH),
        "powershell" => return said("completion for powershell is not supported"),
        other => return said(format!("Unsupported shell type \"{other}\".")),
    }
    Ok(())
}

/// Answers `__complete WORDS...`, the last of which is being typed: commands, flags, types and
/// names, one a line with its description behind a tab.
pub fn complete(arguments: &[OsString]) -> Option<ExitCode> {
    let (first, words) = arguments.split_first()?;
    if first != "__complete" {
        return None;
    }
    let words: Vec<String> = words
        .iter()
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.clone(), before),
        None => (String::new(), words.as_slice()),
    };
    let mut command = crate::cli::command();
    command.build();
    let mut here = &command;
    let mut positional = Vec::new();
    for word in before.iter().filter(|word| !word.starts_with('-')) {
        match here.find_subcommand(word) {
            Some(sub) => here = sub,
            None => positional.push(word.clone()),
        }
    }
    if last.starts_with('-') {
        for argument in here.get_arguments() {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if let Some(long) = argument
                .get_long()
                .filter(|l| format!("--{l}").starts_with(&last))
            {
                io::line(format!("--{long}\t{help}"));
            }
        }
        return Some(ExitCode::SUCCESS);
    }
    let mut subcommands = here.get_subcommands().peekable();
    if subcommands.peek().is_some() {
        for sub in subcommands.filter(|sub| sub.get_name().starts_with(&last)) {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            io::line(format!("{}\t{about}", sub.get_name()));
        }
        return Some(ExitCode::SUCCESS);
    }
    ask_cluster(before, &positional, here.get_name(), &last);
    Some(ExitCode::SUCCESS)
}

/// Types, or names of a type, of the cluster that the words before speak of.
fn ask_cluster(before: &[String], positional: &[String], command: &str, last: &str) {
    const ABOUT_PODS: [&str; 6] = ["attach", "cp", "debug", "exec", "logs", "port-forward"];
    const ABOUT_NODES: [&str; 3] = ["cordon", "drain", "uncordon"];
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut ask = std::process::Command::new(program);
    ask.arg0_kubectl();
    let mut words = before.iter();
    while let Some(word) = words.next() {
        let takes = [
            "-n",
            "--namespace",
            "--context",
            "--kubeconfig",
            "--cluster",
            "--user",
        ];
        if takes.contains(&word.as_str()) {
            ask.arg(word);
            ask.args(words.next());
        } else if takes
            .iter()
            .any(|flag| word.starts_with(&format!("{flag}=")))
        {
            ask.arg(word);
        }
    }
    let kind = match positional.first() {
        _ if ABOUT_PODS.contains(&command) => "pods",
        _ if ABOUT_NODES.contains(&command) => "nodes",
        Some(kind) => kind.as_str(),
        None => "",
    };
    match kind {
        "" => ask.args(["api-resources", "-o", "name", "--verbs=get"]),
        kind => ask.args(["get", kind, "-o", "name", "--request-timeout=5s"]),
    };
    let Ok(output) = ask.stderr(std::process::Stdio::null()).output() else {
        return;
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let word = match kind {
            "" => line.split('.').next().unwrap_or(line),
            _ => line.rsplit('/').next().unwrap_or(line),
        };
        if word.starts_with(last) {
            io::line(word);
        }
    }
}

/// Calls this program under the name by which it is kubectl.
trait Arg0 {
    fn arg0_kubectl(&mut self);
}

impl Arg0 for std::process::Command {
    fn arg0_kubectl(&mut self) {
        use std::os::unix::process::CommandExt as _;
        self.arg0("kubectl");
    }
}
