//! What may come next on a command line: the answer to `__complete WORDS...`, the last of which is
//! being typed.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/util/completion and the protocol of
//! github.com/spf13/cobra (completions.go): one candidate a line, its description behind a tab,
//! then a colon and a number that says what the shell should do with them.

mod cluster;
mod line;

use crate::{help, io};
use cluster::Cluster;
use line::Line;
use std::ffi::OsString;
use std::process::ExitCode;

/// No space follows the candidate.
const NO_SPACE: u8 = 2;
/// Files are no candidates.
const NO_FILES: u8 = 4;
/// The candidates are the ends of files' names.
const FILE_ENDS: u8 = 8;

/// Candidates and what the shell should do with them.
#[derive(Debug, Default)]
struct Answer {
    /// Each with its description behind a tab, if it has one.
    candidates: Vec<String>,
    directive: u8,
}

impl Answer {
    fn of(candidates: Vec<String>) -> Self {
        Answer {
            candidates,
            directive: NO_FILES,
        }
    }

    fn print(&self, with_descriptions: bool) {
        for candidate in &self.candidates {
            io::line(match with_descriptions {
                true => candidate,
                false => candidate.split('\t').next().unwrap_or_default(),
            });
        }
        io::line(format!(":{}", self.directive));
        let names = [
            (NO_SPACE, "ShellCompDirectiveNoSpace"),
            (NO_FILES, "ShellCompDirectiveNoFileComp"),
            (FILE_ENDS, "ShellCompDirectiveFilterFileExt"),
        ];
        let named = names.iter().filter(|(bit, _)| self.directive & bit != 0);
        let named: Vec<&str> = named.map(|(_, name)| *name).collect();
        let named = match named.is_empty() {
            true => "ShellCompDirectiveDefault".to_string(),
            false => named.join(", "),
        };
        io::warn(format!("Completion ended with directive: {named}"));
    }
}

/// Answers `__complete` and `__completeNoDesc`; nothing for any other command line.
pub fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    answer_for(crate::cli::command, arguments)
}

/// The same for another program, whose commands are made when there is something to answer.
pub fn answer_for(
    program: impl FnOnce() -> clap::Command,
    arguments: &[OsString],
) -> Option<ExitCode> {
    let (first, words) = arguments.split_first()?;
    let with_descriptions = match first.to_str() {
        Some("__complete") => true,
        Some("__completeNoDesc") => false,
        _ => return None,
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut root = program();
    root.build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Who types wants no errors: without candidates there is nothing to say.
    let answer = match runtime {
        Ok(runtime) => runtime.block_on(of(&root, &words)),
        Err(_) => Answer::default(),
    };
    answer.print(with_descriptions);
    Some(ExitCode::SUCCESS)
}

async fn of(root: &clap::Command, words: &[String]) -> Answer {
    let line = Line::read(root, words);
    let cluster = Cluster::new(&line);
    if let Some((option, typed)) = &line.value {
        return of_option(&line, &cluster, option, typed).await;
    }
    if line.typed.starts_with('-') && !line.is_over {
        return Answer::of(options(root, &line));
    }
    let below: Vec<String> = help::shown(line.command)
        .filter(|command| command.get_name().starts_with(&line.typed))
        .map(|command| format!("{}\t{}", command.get_name(), help::about(command)))
        .collect();
    if help::shown(line.command).next().is_some() && line.positionals.is_empty() {
        return Answer::of(below);
    }
    of_position(&line, &cluster).await
}

/// The names of options: those of the command and those of all.
fn options(root: &clap::Command, line: &Line<'_>) -> Vec<String> {
    let globals = root.get_arguments().filter(|arg| arg.is_global_set());
    let own = line.command.get_arguments();
    let mut out = Vec::new();
    for arg in own.chain(globals).filter(|arg| !arg.is_hide_set()) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let long = arg.get_long().map(|name| format!("--{name}"));
        let given = |flag: &String| line.given.contains(flag);
        let repeats = matches!(arg.get_action(), clap::ArgAction::Append);
        if !repeats && (long.as_ref().is_some_and(given) || short.as_ref().is_some_and(given)) {
            continue;
        }
        for flag in long.into_iter().chain(short) {
            let shown = format!("{flag}\t{help}");
            if flag.starts_with(&line.typed) && !out.contains(&shown) {
                out.push(shown);
            }
        }
    }
    out.sort();
    out
}

async fn of_option(line: &Line<'_>, cluster: &Cluster, option: &str, typed: &str) -> Answer {
    let fits = |all: Vec<String>| {
        let fitting = all
            .into_iter()
            .filter(|candidate| candidate.starts_with(typed));
        Answer::of(fitting.collect())
    };
    match option {
        "namespace" => fits(cluster.names("namespaces").await),
        "context" => fits(cluster.entries("contexts")),
        "cluster" => fits(cluster.entries("clusters")),
        "user" => fits(cluster.entries("users")),
        "container" => match line.positionals.first() {
            Some(pod) => fits(cluster.containers(pod).await),
            None => Answer::of(Vec::new()),
        },
        "output" => fits(
            crate::print::FORMATS
                .split(',')
                .map(str::to_string)
                .collect(),
        ),
        "filename" => Answer {
            candidates: ["json", "yaml", "yml"].map(str::to_string).to_vec(),
            directive: FILE_ENDS,
        },
        _ => Answer::default(),
    }
}

/// Types that hold pods, for commands that take a pod or such a type and a name.
const WITH_PODS: [&str; 8] = [
    "daemonsets",
    "deployments",
    "pods",
    "jobs",
    "replicasets",
    "replicationcontrollers",
    "services",
    "statefulsets",
];
const SCALED: &[&str] = &[
    "deployment",
    "replicaset",
    "replicationcontroller",
    "statefulset",
];
const ROLLED: &[&str] = &["deployment", "daemonset", "statefulset"];

/// What stands at a position; options that must be given and are not come first.
async fn of_position(line: &Line<'_>, cluster: &Cluster) -> Answer {
    let mut answer = at_position(line, cluster).await;
    let missing = line
        .command
        .get_arguments()
        .filter(|arg| arg.is_required_set());
    let missing = missing.filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
    let missing =
        missing.filter(|flag| flag.starts_with(&line.typed) && !line.given.contains(flag));
    let missing: Vec<String> = missing.collect();
    answer.candidates.splice(0..0, missing);
    answer
}

async fn at_position(line: &Line<'_>, cluster: &Cluster) -> Answer {
    match line.path.as_str() {
        "kubectl annotate"
        | "kubectl delete"
        | "kubectl describe"
        | "kubectl edit"
        | "kubectl get"
        | "kubectl label"
        | "kubectl patch"
        | "kubectl debug"
        | "kubectl wait"
        | "kubectl apply edit-last-applied"
        | "kubectl apply view-last-applied" => types_and_names(line, cluster, &[]).await,
        "kubectl autoscale" | "kubectl scale" => types_and_names(line, cluster, SCALED).await,
        "kubectl expose" => {
            let exposed = [
                "pod",
                "service",
                "replicationcontroller",
                "deployment",
                "replicaset",
            ];
            types_and_names(line, cluster, &exposed).await
        }
        "kubectl rollout history"
        | "kubectl rollout pause"
        | "kubectl rollout restart"
        | "kubectl rollout resume"
        | "kubectl rollout status"
        | "kubectl rollout undo" => types_and_names(line, cluster, ROLLED).await,
        "kubectl taint" => types_and_names(line, cluster, &["node"]).await,
        "kubectl explain" => match line.positionals.is_empty() {
            true => Answer::of(line.fitting(cluster.types().await)),
            false => Answer::of(Vec::new()),
        },
        "kubectl cordon" | "kubectl drain" | "kubectl top node" | "kubectl uncordon" => {
            only_first(line, cluster.names("nodes").await)
        }
        "kubectl top pod" => only_first(line, cluster.names("pods").await),
        "kubectl attach" | "kubectl exec" | "kubectl logs" | "kubectl port-forward" => {
            pods(line, cluster).await
        }
        "kubectl config use-context"
        | "kubectl config delete-context"
        | "kubectl config rename-context"
        | "kubectl config get-contexts" => only_first(line, cluster.entries("contexts")),
        "kubectl config delete-cluster" => only_first(line, cluster.entries("clusters")),
        "kubectl config delete-user" => only_first(line, cluster.entries("users")),
        "kubectl completion" => {
            only_first(line, ["bash", "fish", "zsh"].map(str::to_string).to_vec())
        }
        "kubectl cp" | "kubectl kustomize" => Answer::default(),
        _ => Answer::of(Vec::new()),
    }
}

fn only_first(line: &Line<'_>, candidates: Vec<String>) -> Answer {
    match line.positionals.is_empty() {
        true => Answer::of(line.fitting(candidates)),
        false => Answer::of(Vec::new()),
    }
}

/// A type, then names of it; or types and names with a slash between.
async fn types_and_names(line: &Line<'_>, cluster: &Cluster, allowed: &[&str]) -> Answer {
    let with_slash = line
        .positionals
        .first()
        .map_or(line.typed.as_str(), String::as_str);
    if with_slash.contains('/') {
        return of_pair(line, cluster).await;
    }
    let Some((types, names)) = line.positionals.split_first() else {
        let all = match allowed.is_empty() {
            true => cluster.types().await,
            false => allowed.iter().map(ToString::to_string).collect(),
        };
        let (done, typed) = line.typed.rsplit_once(',').unwrap_or(("", &line.typed));
        let fitting = all.into_iter().filter(|name| name.starts_with(typed));
        return Answer::of(match done.is_empty() {
            true => fitting.collect(),
            false => fitting.map(|name| format!("{done},{name}")).collect(),
        });
    };
    let mut found = cluster.names(types).await;
    found.retain(|name| !names.contains(name));
    Answer::of(line.fitting(found))
}

/// `type/name`, the type of which is typed already.
async fn of_pair(line: &Line<'_>, cluster: &Cluster) -> Answer {
    let Some((kind, _)) = line.typed.split_once('/') else {
        return Answer::of(Vec::new());
    };
    let names = cluster.names(kind).await.into_iter();
    let pairs = names.map(|name| format!("{kind}/{name}"));
    let pairs = pairs.filter(|pair| !line.positionals.contains(pair));
    Answer::of(line.fitting(pairs.collect()))
}

/// A pod, or a type that holds pods and a name; then a container or a port.
async fn pods(line: &Line<'_>, cluster: &Cluster) -> Answer {
    match (line.path.as_str(), line.positionals.as_slice()) {
        (_, []) if line.typed.contains('/') => of_pair(line, cluster).await,
        (_, []) => {
            let mut found = line.fitting(cluster.names("pods").await);
            let directive = if found.is_empty() {
                NO_FILES | NO_SPACE
            } else {
                NO_FILES
            };
            let types = WITH_PODS
                .iter()
                .filter(|name| name.starts_with(&line.typed));
            found.extend(types.map(|name| format!("{name}/")));
            Answer {
                candidates: found,
                directive,
            }
        }
        ("kubectl logs", [pod]) => Answer::of(line.fitting(cluster.containers(pod).await)),
        ("kubectl port-forward", [pod]) => Answer::of(line.fitting(cluster.ports(pod).await)),
        _ => Answer::of(Vec::new()),
    }
}
