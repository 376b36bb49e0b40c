//! The user's preferences: aliases of commands and defaults of options, from the kuberc file.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/kuberc. Preferences turn one command line into another
//! before it is read.

use crate::error::{Result, said};
use crate::help::find;
use crate::io;
use crate::words::quote;
use clap::Command;
use meta::Value;
use std::ffi::OsString;
use std::path::PathBuf;

/// The form that is written.
pub(crate) const VERSION: &str = "kubectl.config.k8s.io/v1beta1";

/// Where preferences are, and whether somebody said so.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) is_named: bool,
}

/// The file that is named, that of `KUBERC`, or the one beside the kubeconfig; nothing when
/// preferences are turned off.
pub(crate) fn place(named: Option<&str>) -> Result<Option<Place>> {
    let variable = std::env::var("KUBERC").unwrap_or_default();
    let named = named.filter(|path| !path.is_empty());
    let is_off = variable == "off" || std::env::var("KUBECTL_KUBERC").as_deref() == Ok("false");
    if is_off && named.is_some() {
        return said(
            "disabling kuberc via KUBERC=off and passing kuberc flag are mutually exclusive",
        );
    }
    if is_off {
        return Ok(None);
    }
    let named = named.or(Some(variable.as_str()).filter(|path| !path.is_empty()));
    Ok(Some(Place {
        path: named.map_or_else(|| crate::config::home().join(".kube/kuberc"), PathBuf::from),
        is_named: named.is_some(),
    }))
}

/// Reads a file of preferences; nothing when there is none.
pub(crate) fn read(place: &Place) -> Result<Option<Value>> {
    let path = place.path.display();
    let text = match std::fs::read_to_string(&place.path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return said(io::file_words("open", &path.to_string(), &error)),
    };
    match codec::yaml::parse(&text) {
        Ok(tree @ Value::Object(_)) if tree.str_at(&["kind"]) == "Preference" => Ok(Some(tree)),
        Ok(_) => said(format!("{path} is not of kind Preference")),
        Err(error) => said(format!("{path}: {error}")),
    }
}

/// The command line as the preferences make it.
pub(crate) fn apply(root: &Command, arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let words: Option<Vec<String>> = arguments
        .iter()
        .map(|word| word.to_str().map(str::to_string))
        .collect();
    let Some(words) = words.filter(|words| !words.is_empty()) else {
        return Ok(arguments);
    };
    let named = named_file(&words);
    let Some(place) = place(named.as_deref())? else {
        return Ok(arguments);
    };
    let tree = match read(&place) {
        Ok(Some(tree)) => tree,
        Ok(None) if place.is_named => {
            let path = place.path.display();
            return said(format!("kuberc: open {path}: no such file or directory"));
        }
        Ok(None) => return Ok(arguments),
        Err(error) if place.is_named => return said(format!("kuberc: {error}")),
        Err(error) => {
            let path = place.path.display();
            io::warn(format!(
                "kuberc: no preferences loaded from {path}: {error}"
            ));
            return Ok(arguments);
        }
    };
    check(&tree)?;
    let words = with_alias(root, &tree, words)?;
    let words = with_defaults(root, &tree, words)?;
    Ok(words.into_iter().map(OsString::from).collect())
}

/// The file that `--kuberc` names.
fn named_file(words: &[String]) -> Option<String> {
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--kuberc" {
            return words.next().cloned();
        }
        if let Some(path) = word.strip_prefix("--kuberc=") {
            return Some(path.to_string());
        }
    }
    None
}

fn check(tree: &Value) -> Result {
    let policy = tree.str_at(&["credentialPluginPolicy"]);
    if !["", "AllowAll"].contains(&policy) {
        return said(format!("credentialPluginPolicy {policy} is not supported"));
    }
    let mut names: Vec<&str> = Vec::new();
    for alias in tree.items_at(&["aliases"]) {
        let name = alias.str_at(&["name"]);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic()) {
            return said("invalid alias name, can only include alphabetical characters");
        }
        if names.contains(&name) {
            return said(format!("duplicate alias name {name}"));
        }
        names.push(name);
    }
    let entries = ["aliases", "defaults", "overrides"].map(|list| tree.items_at(&[list]));
    for option in entries.into_iter().flatten().flat_map(options) {
        let name = option.str_at(&["name"]);
        if name.starts_with('-') {
            return said(format!(
                "flag name {name} should be in long form without dashes"
            ));
        }
    }
    Ok(())
}

/// The options of an entry; the first form of the file called them flags.
fn options(entry: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["options", "flags"].map(|list| entry.items_at(&[list]));
    lists.into_iter().flatten()
}

/// Where the word stands that names the command: the first that is no option.
fn command_at(words: &[String]) -> Option<usize> {
    words.iter().position(|word| !word.starts_with('-'))
}

fn with_alias(root: &Command, tree: &Value, mut words: Vec<String>) -> Result<Vec<String>> {
    let Some(at) = command_at(&words) else {
        return Ok(words);
    };
    let aliases = tree.items_at(&["aliases"]);
    let Some(alias) = aliases
        .iter()
        .find(|alias| alias.str_at(&["name"]) == words[at])
    else {
        return Ok(words);
    };
    if root.find_subcommand(&words[at]).is_some() {
        io::warn(format!(
            "Warning: Setting alias {} to a built-in command is not supported",
            quote(&words[at])
        ));
        return Ok(words);
    }
    let command = alias.str_at(&["command"]);
    if find(root, &format!("kubectl {command}")).is_none() {
        let name = quote(&words[at]);
        return said(format!(
            "command {} not found to set alias {name}",
            quote(command)
        ));
    }
    let mut made: Vec<String> = command.split_whitespace().map(str::to_string).collect();
    made.extend(missing(root, command, alias, &words)?);
    let texts = |list: &str| {
        let all = alias.items_at(&[list]).iter().filter_map(Value::as_str);
        all.map(str::to_string).collect::<Vec<_>>()
    };
    made.extend(texts("prependArgs"));
    words.splice(at..=at, made);
    words.extend(texts("appendArgs"));
    Ok(words)
}

fn with_defaults(root: &Command, tree: &Value, mut words: Vec<String>) -> Result<Vec<String>> {
    let (mut here, mut path, mut after) = (root, Vec::new(), 0);
    for (at, word) in words
        .iter()
        .enumerate()
        .take_while(|(_, word)| *word != "--")
    {
        if let Some(below) = here.find_subcommand(word) {
            path.push(below.get_name());
            (here, after) = (below, at + 1);
        }
    }
    let path = path.join(" ");
    let entries = ["defaults", "overrides"].map(|list| tree.items_at(&[list]));
    let fits = |entry: &&Value| !path.is_empty() && entry.str_at(&["command"]) == path;
    for entry in entries.into_iter().flatten().filter(fits) {
        let made = missing(root, &path, entry, &words)?;
        words.splice(after..after, made);
    }
    Ok(words)
}

/// The options of an entry that the command line does not give itself.
fn missing(root: &Command, command: &str, entry: &Value, words: &[String]) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let own = find(root, &format!("kubectl {command}"));
    for option in options(entry) {
        let name = option.str_at(&["name"]);
        let own = own.into_iter().flat_map(Command::get_arguments);
        let globals = root.get_arguments().filter(|arg| arg.is_global_set());
        let Some(arg) = own.chain(globals).find(|arg| arg.get_long() == Some(name)) else {
            return said(format!("invalid flag {name} for command {command}"));
        };
        let long = format!("--{name}");
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let is_given = words.iter().take_while(|word| *word != "--").any(|word| {
            *word == long
                || word.starts_with(&format!("{long}="))
                || (!word.starts_with("--") && short.as_ref().is_some_and(|s| word.starts_with(s)))
        });
        if !is_given {
            out.push(format!("{long}={}", text(option.get("default"))));
        }
    }
    Ok(out)
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn made(line: &str) -> String {
        let tree = value!({
            "kind": "Preference",
            "defaults": [{"command": "get", "options": [{"name": "output", "default": "wide"}]},
                         {"command": "set image", "options": [{"name": "all", "default": "true"}]}],
            "aliases": [{"name": "getn", "command": "get", "prependArgs": ["nodes"], "appendArgs": ["--show-labels"],
                         "options": [{"name": "watch", "default": "true"}]}]
        });
        check(&tree).expect("preferences");
        let root = crate::cli::command();
        let words = line.split(' ').map(str::to_string).collect();
        let words = with_alias(&root, &tree, words).expect("an alias");
        with_defaults(&root, &tree, words)
            .expect("defaults")
            .join(" ")
    }

    #[test]
    fn defaults_stand_in_for_what_is_not_given() {
        assert_eq!(made("-n web get pods"), "-n web get --output=wide pods");
        assert_eq!(made("get pods -ojson"), "get pods -ojson");
        assert_eq!(
            made("set image deploy x=y"),
            "set image --all=true deploy x=y"
        );
    }

    #[test]
    fn aliases_become_their_commands() {
        assert_eq!(
            made("getn node-1 -o name"),
            "get --watch=true nodes node-1 -o name --show-labels"
        );
    }

    #[test]
    fn what_is_no_preference_is_refused() {
        assert!(check(&value!({"aliases": [{"name": "a-b"}]})).is_err());
        assert!(check(&value!({"credentialPluginPolicy": "DenyAll"})).is_err());
        let dashed = value!({"defaults": [{"command": "get", "options": [{"name": "-o"}]}]});
        assert!(check(&dashed).is_err());
    }
}
