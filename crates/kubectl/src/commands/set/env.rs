//! `set env`: the environment of containers, shown or changed.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/set/set_env.go and set/env.

mod reference;

use super::{Change, Common, pods};
use crate::error::{Result, said};
use crate::io;
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use meta::{Value, value};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// The names of containers in the selected pod templates to change; may use wildcards.
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// If true, display the environment and any changes in the standard format.
    #[arg(long)]
    list: bool,
    /// If true, show secret or configmap references when listing variables.
    #[arg(long)]
    resolve: bool,
    /// The name of a resource from which to inject environment variables.
    #[arg(long, default_value = "")]
    from: String,
    /// Prefix to append to variable names.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Comma-separated list of keys to import from specified resource.
    #[arg(long, value_delimiter = ',')]
    keys: Vec<String>,
    /// Specify a key-value pair for an environment variable to set into each container.
    #[arg(short, long)]
    env: Vec<String>,
    /// If true, allow environment to be overwritten.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    overwrite: bool,
}

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    let words = &args.common.words;
    let at = words.iter().position(|word| is_change(word));
    let (resources, pairs) = words.split_at(at.unwrap_or(words.len()));
    if !pairs.iter().all(|word| is_change(word)) {
        let all = words.join(" ");
        return said(format!(
            "all resources must be specified before environment changes: {all}"
        ));
    }
    args.common.check(resources)?;
    if args.list && args.common.print.output.is_some() {
        return said("--list and --output may not be specified together");
    }
    if !args.keys.is_empty() && args.from.is_empty() {
        return said("when specifying --keys, a configmap or secret must be provided with --from");
    }
    let pairs: Vec<String> = args.env.iter().chain(pairs).cloned().collect();
    let mut changes = Changes::parse(&pairs)?;
    changes.set.extend(injected(shell, args).await?);
    for variable in &mut changes.set {
        let name = format!("{}{}", args.prefix, variable.str_at(&["name"]));
        variable.set_at(&["name"], name);
    }
    if args.list {
        return list(shell, args, resources, &changes).await;
    }
    let change = Change {
        done: "env updated",
        failed: "failed to patch env update to pod template",
        version: "",
        is_named: true,
    };
    let apply = |object: &mut Value| changes.apply(object, args);
    let infos = args.common.infos(shell, resources).await?;
    args.common.each(shell, infos, &change, apply).await
}

fn is_change(word: &str) -> bool {
    word.contains('=') || word.ends_with('-')
}

/// What becomes of an environment.
#[derive(Debug, Default)]
struct Changes {
    set: Vec<Value>,
    removed: Vec<String>,
}

impl Changes {
    /// Reads `A=1`, `B-`, and `-` for pairs from standard input.
    fn parse(words: &[String]) -> Result<Self> {
        let mut changes = Changes::default();
        for word in words {
            match word.split_once('=') {
                _ if word == "-" => changes.set.extend(from_stdin()?),
                Some((name, text)) => changes.set.push(variable(name, text)?),
                None => match word.strip_suffix('-') {
                    Some(name) => changes.removed.push(name.to_string()),
                    None => return said(format!("unknown environment variable: {word}")),
                },
            }
        }
        let is_set = |name: &String| changes.set.iter().any(|v| v.str_at(&["name"]) == name);
        match changes.removed.iter().any(is_set) {
            true => said(
                "can not both modify and remove the same environment variable in the same command",
            ),
            false => Ok(changes),
        }
    }

    fn apply(&self, object: &mut Value, args: &Args) -> Result {
        let title = format!(
            "{}/{}",
            object.str_at(&["kind"]),
            object.str_at(&["metadata", "name"])
        );
        let spec = pods::spec(object)?;
        let lists = ["containers", "initContainers"];
        let count = pods::each_container(spec, &lists, &args.containers, |container| {
            self.change(container, args.overwrite)
        })?;
        if count == 0 {
            io::warn(format!(
                "warning: {title} does not have any containers matching {}",
                crate::words::quote(&args.containers)
            ));
        }
        Ok(())
    }

    fn change(&self, container: &mut Value, overwrite: bool) -> Result {
        let all = container.make_object().entry("env").make_array();
        for new in &self.set {
            let name = new.str_at(&["name"]);
            let old = all.iter_mut().find(|old| old.str_at(&["name"]) == name);
            match old {
                Some(old) if !overwrite && old.get("value") != new.get("value") => {
                    let value = old.str_at(&["value"]);
                    return said(format!(
                        "'{name}' already has a value ({value}), and --overwrite is false"
                    ));
                }
                Some(old) => *old = new.clone(),
                None => all.push(new.clone()),
            }
        }
        all.retain(|variable| !self.removed.iter().any(|r| r == variable.str_at(&["name"])));
        if all.is_empty() {
            container.remove_at(&["env"]);
        }
        Ok(())
    }
}

fn variable(name: &str, text: &str) -> Result<Value> {
    let plain = |c: char| c.is_ascii_graphic() && c != '=';
    match !name.is_empty() && name.chars().all(plain) {
        true => Ok(value!({"name": (name), "value": (text)})),
        false => said(format!(
            "{} is not a valid key name: a valid environment variable name must consist only of printable ASCII characters other than '='",
            crate::words::quote(name)
        )),
    }
}

fn from_stdin() -> Result<Vec<Value>> {
    let text = io::stdin()?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let pairs = lines.filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(name, text)| value!({"name": (name), "value": (text)}))
        .collect())
}

/// Variables that refer to the keys of a config map or secret.
async fn injected(shell: &Shell, args: &Args) -> Result<Vec<Value>> {
    if args.from.is_empty() {
        return Ok(Vec::new());
    }
    let arguments = [args.from.clone()];
    let choice = Choice {
        arguments: &arguments,
        ..Choice::default()
    };
    let mut out = Vec::new();
    for info in fetch_all(shell, &choice).await? {
        let reference = match info.resource.kind.as_str() {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            _ => return said("unsupported resource specified in --from"),
        };
        let data = info.object.get("data").and_then(Value::as_object);
        for key in data.into_iter().flat_map(meta::Map::keys) {
            if !args.keys.is_empty() && !args.keys.iter().any(|wanted| wanted == key.as_str()) {
                continue;
            }
            let mut variable = value!({"name": (name_of(key))});
            variable.set_at(&["valueFrom", reference, "key"], key.as_str());
            variable.set_at(&["valueFrom", reference, "name"], info.name.as_str());
            out.push(variable);
        }
    }
    Ok(out)
}

/// A key as the name of a variable.
fn name_of(key: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    let name: String = key.chars().map(letter).collect();
    if name != key {
        io::warn(format!("Warning: key {key} transferred to {name}"));
    }
    name
}

async fn list(shell: &Shell, args: &Args, resources: &[String], changes: &Changes) -> Result {
    for info in args.common.infos(shell, resources).await? {
        let mut object = info.object.clone();
        changes.apply(&mut object, args)?;
        let whole = object.clone();
        let title = format!("{} {}", info.resource.kind, info.name);
        let spec = pods::spec(&mut object)?;
        for list in ["containers", "initContainers"] {
            for container in spec.items_at(&[list]) {
                let name = container.str_at(&["name"]);
                if pods::matches(&args.containers, name) {
                    io::line(format!("# {title}, container {name}"));
                    let shown = reference::Shown {
                        shell,
                        object: &whole,
                        container,
                    };
                    shown.all(args.resolve).await?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(words: &[&str]) -> Result<Changes> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Changes::parse(&words)
    }

    #[test]
    fn variables_are_set_and_removed() {
        let mut container = value!({"name": "web", "env": [{"name": "A", "value": "0"}, {"name": "B", "value": "2"}]});
        let changes = changes(&["A=1", "B-"]).expect("changes");
        assert!(changes.change(&mut container.clone(), false).is_err());
        changes.change(&mut container, true).expect("a change");
        assert_eq!(
            container,
            value!({"name": "web", "env": [{"name": "A", "value": "1"}]})
        );
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        assert!(changes(&["A=1", "A-"]).is_err());
        assert!(changes(&["A B=1"]).is_err());
        assert!(changes(&["A"]).is_err());
    }
}
