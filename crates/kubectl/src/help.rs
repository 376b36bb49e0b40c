//! Pages of help: what a command does, examples, its options and how it is called.
//!
//! Laid out as staging/src/k8s.io/kubectl/pkg/util/templates lays them out. Words and options come
//! from the commands themselves, usage and examples from `help/examples.txt`.

mod examples;

pub(crate) use examples::entry;

use clap::{Arg, ArgAction, Command};
use std::any::TypeId;

/// The commands of the first page, in the groups in which upstream shows them.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Basic Commands (Beginner)",
        &["create", "expose", "run", "set"],
    ),
    (
        "Basic Commands (Intermediate)",
        &["explain", "get", "edit", "delete"],
    ),
    ("Deploy Commands", &["rollout", "scale", "autoscale"]),
    (
        "Cluster Management Commands",
        &[
            "certificate",
            "cluster-info",
            "top",
            "cordon",
            "uncordon",
            "drain",
            "taint",
        ],
    ),
    (
        "Troubleshooting and Debugging Commands",
        &[
            "describe",
            "logs",
            "attach",
            "exec",
            "port-forward",
            "proxy",
            "cp",
            "auth",
            "debug",
            "events",
        ],
    ),
    (
        "Advanced Commands",
        &["diff", "apply", "patch", "replace", "wait", "kustomize"],
    ),
    ("Settings Commands", &["label", "annotate", "completion"]),
];

/// Commands that keep options of all commands in the kubeconfig.
const SET_BY_GLOBALS: [(&str, &[&str]); 3] = [
    (
        "kubectl config set-cluster",
        &[
            "certificate-authority",
            "insecure-skip-tls-verify",
            "server",
            "tls-server-name",
        ],
    ),
    (
        "kubectl config set-context",
        &["cluster", "namespace", "user"],
    ),
    (
        "kubectl config set-credentials",
        &[
            "client-certificate",
            "client-key",
            "password",
            "token",
            "username",
        ],
    ),
];

/// Options that are something else when they are not given than the parser knows.
const UNSAID: [(&str, &str, &str); 14] = [
    ("kubectl api-resources", "namespaced", "true"),
    ("kubectl apply", "openapi-patch", "true"),
    ("kubectl cluster-info dump", "output", "'json'"),
    ("kubectl config view", "output", "'yaml'"),
    ("kubectl create clusterrole", "aggregation-rule", ""),
    ("kubectl create cronjob", "restart", "''"),
    ("kubectl create quota", "scopes", "''"),
    ("kubectl debug", "attach", "false"),
    ("kubectl debug", "share-processes", "true"),
    ("kubectl delete", "ignore-not-found", "false"),
    ("kubectl logs", "since", "0s"),
    ("kubectl logs", "tail", "-1"),
    ("kubectl run", "attach", "false"),
    ("kubectl scale", "replicas", "0"),
];

const GLOBAL_HINT: &str = "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n";

/// The page of a command, called by a path such as `kubectl create role`.
pub(crate) fn page(root: &Command, path: &str) -> String {
    let Some(command) = find(root, path) else {
        return String::new();
    };
    if path == root.get_name() {
        return first_page(root);
    }
    let mut out = sentence(&about(command)) + "\n";
    let entry = entry(path);
    let aliases: Vec<&str> = command.get_all_aliases().collect();
    if !aliases.is_empty() {
        let all = [&[command.get_name()], aliases.as_slice()].concat();
        out.push_str(&format!("\nAliases:\n{}\n", all.join(", ")));
    }
    if let Some(entry) = entry.filter(|entry| !entry.examples.is_empty()) {
        out.push_str("\nExamples:\n");
        out.push_str(&entry.indented("  "));
    }
    let below: Vec<&Command> = shown(command).collect();
    if !below.is_empty() {
        out.push_str("\nAvailable Commands:\n");
        out.push_str(&listed(&below, shown(command)));
    }
    let set = SET_BY_GLOBALS.iter().find(|(own, _)| *own == path);
    let set = set.map_or(&[][..], |(_, names)| names);
    let globals = root
        .get_arguments()
        .filter(|arg| arg.get_long().is_some_and(|long| set.contains(&long)));
    let own = command.get_arguments().filter(|arg| !arg.is_global_set());
    let options = options(path, own.chain(globals));
    if !options.is_empty() {
        out.push_str(&format!("\nOptions:\n{options}"));
    }
    out.push_str(&format!("\nUsage:\n  {}\n\n", usage(command, path)));
    if !below.is_empty() {
        out.push_str(&format!(
            "Use \"{path} <command> --help\" for more information about a given command.\n"
        ));
    }
    out + GLOBAL_HINT
}

/// How a command is called: `kubectl create role NAME --verb=VERB [flags] [options]`.
pub(crate) fn usage(command: &Command, path: &str) -> String {
    let below = shown(command).next().is_some();
    let rest = match entry(path).map(|entry| entry.usage) {
        Some("") | None if below => "SUBCOMMAND".to_string(),
        Some("") | None => "[flags]".to_string(),
        Some(usage) => usage.to_string(),
    };
    format!("{path} {rest} [options]")
}

fn first_page(root: &Command) -> String {
    let mut out = "kubectl controls the Kubernetes cluster manager.\n".to_string();
    let named = |name: &&str| root.find_subcommand(name);
    for (title, names) in GROUPS {
        let commands: Vec<&Command> = names.iter().filter_map(named).collect();
        out.push_str(&format!("\n{title}:\n{}", listed(&commands, shown(root))));
    }
    let grouped = |command: &&Command| {
        let mut all = GROUPS.iter().flat_map(|(_, names)| names.iter());
        all.any(|name| *name == command.get_name())
    };
    let others: Vec<&Command> = shown(root).filter(|command| !grouped(command)).collect();
    out.push_str(&format!(
        "\nOther Commands:\n{}",
        listed(&others, shown(root))
    ));
    out.push_str("\nUsage:\n  kubectl [flags] [options]\n\n");
    out.push_str("Use \"kubectl <command> --help\" for more information about a given command.\n");
    out + GLOBAL_HINT
}

/// The command at a path.
pub(crate) fn find<'a>(root: &'a Command, path: &str) -> Option<&'a Command> {
    let mut words = path.split(' ').skip(1);
    words.try_fold(root, |here, word| here.find_subcommand(word))
}

/// The commands below one that are shown to users.
pub(crate) fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let hidden = ["help", "options"];
    command
        .get_subcommands()
        .filter(move |below| !hidden.contains(&below.get_name()) && !below.is_hide_set())
}

/// What a command does, in a few words.
pub(crate) fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn sentence(text: &str) -> String {
    match text.ends_with(['.', ')']) {
        true => text.to_string(),
        false => format!("{text}."),
    }
}

/// Commands beside what they do; the column is as wide as the widest name needs.
fn listed<'a>(commands: &[&Command], widest: impl Iterator<Item = &'a Command>) -> String {
    let widest = widest.map(|command| command.get_name().len()).max();
    let width = widest.unwrap_or(0).max(11);
    let lines = commands.iter().map(|command| {
        let name = command.get_name();
        format!("  {name:width$}   {}\n", about(command))
    });
    lines.collect()
}

/// Options with their defaults and what they mean, by name.
pub(crate) fn options<'a>(path: &str, arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut named: Vec<(&str, &Arg)> = arguments
        .filter(|arg| !arg.is_hide_set())
        .filter_map(|arg| Some((arg.get_long()?, arg)))
        .filter(|(long, _)| *long != "help")
        .collect();
    named.sort_by_key(|(long, _)| *long);
    let lines = named.iter().map(|(long, arg)| {
        // Commands that keep an option of all commands know it by its long name.
        let is_kept = path.starts_with("kubectl config set-");
        let short = arg.get_short().filter(|_| !is_kept);
        let short = short.map(|c| format!("-{c}, ")).unwrap_or_default();
        let help = arg
            .get_help()
            .map(|h| sentence(&h.to_string()))
            .unwrap_or_default();
        format!("    {short}--{long}={}:\n\t{help}\n", default(path, arg))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The manager of fields that a command writes, unless it is told another.
fn manager(path: &str) -> String {
    match path.split(' ').nth(1) {
        Some("apply" | "diff") => "kubectl-client-side-apply".into(),
        Some(command) => format!("kubectl-{command}"),
        None => "kubectl".into(),
    }
}

/// What an option is when it is not given, as upstream writes it.
pub(crate) fn default(path: &str, arg: &Arg) -> String {
    if arg.get_long() == Some("field-manager") {
        return format!("'{}'", manager(path));
    }
    let defaults = arg.get_default_values().iter();
    let text: Vec<String> = defaults.map(|v| v.to_string_lossy().into_owned()).collect();
    let text = text.join(",");
    let unsaid = UNSAID
        .iter()
        .find(|(command, long, _)| *command == path && Some(*long) == arg.get_long());
    if let Some((_, _, default)) = unsaid {
        return (*default).to_string();
    }
    if matches!(arg.get_action(), ArgAction::Append) {
        return format!("[{text}]");
    }
    let is_text = arg.get_value_parser().type_id() == TypeId::of::<String>();
    let is_duration = crate::words::duration(&text).is_some() && text != "0";
    match is_text && !is_duration {
        true => format!("'{text}'"),
        false => text,
    }
}
