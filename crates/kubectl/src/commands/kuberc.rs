//! `kuberc`: the user's preferences, shown and changed.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/kuberc.

use crate::error::{Result, said};
use crate::io;
use crate::preferences::{Place, VERSION, place, read};
use crate::print::{DryRun, PrintArgs};
use crate::shell::Shell;
use crate::words::quote;
use clap::Subcommand;
use meta::{Value, value};
use std::path::Path;

/// The arguments of `kuberc`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set values in the kuberc configuration.
    Set(SetArgs),
    /// Display the current kuberc configuration.
    View {
        #[command(flatten)]
        print: PrintArgs,
    },
}

#[derive(clap::Args, Debug)]
struct SetArgs {
    /// Section to modify: defaults or aliases.
    #[arg(long, required = true)]
    section: String,
    /// Command to configure, as get, create or 'set env'.
    #[arg(long, default_value = "")]
    command: String,
    /// Alias name, for aliases.
    #[arg(long, default_value = "")]
    name: String,
    /// Option in the form name=value; may be repeated.
    #[arg(long)]
    option: Vec<String>,
    /// Argument to stand before all others, for aliases; may be repeated.
    #[arg(long)]
    prependarg: Vec<String>,
    /// Argument to stand behind all others, for aliases; may be repeated.
    #[arg(long)]
    appendarg: Vec<String>,
    /// Allow overwriting existing entries.
    #[arg(long)]
    overwrite: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let Some(place) = place(shell.globals.kuberc.as_deref())? else {
        return said("KUBERC is disabled via KUBERC=off environment variable");
    };
    match args.command {
        What::View { print } => view(&place, print),
        What::Set(args) => set(&place, &args),
    }
}

fn view(place: &Place, mut print: PrintArgs) -> Result {
    let Some(mut tree) = read(place)? else {
        let path = place.path.display();
        return said(format!("kuberc file not found at {path}"));
    };
    for list in ["aliases", "defaults"] {
        tree.make_object().entry(list).make_array();
    }
    print.output.get_or_insert_with(|| "yaml".into());
    print.reporter(DryRun::None)?.print(&tree)
}

fn set(place: &Place, args: &SetArgs) -> Result {
    args.check()?;
    let mut tree =
        read(place)?.unwrap_or_else(|| value!({"apiVersion": (VERSION), "kind": "Preference"}));
    if tree.str_at(&["apiVersion"]) != VERSION {
        let path = place.path.display();
        return said(format!(
            "{path} is not in the form {VERSION}, which is the one that is written"
        ));
    }
    let (key, wanted, exists) = match args.section.as_str() {
        "aliases" => (
            "name",
            &args.name,
            format!(
                "alias {} already exists, use --overwrite to replace",
                quote(&args.name)
            ),
        ),
        _ => (
            "command",
            &args.command,
            format!(
                "defaults for command {} already exist, use --overwrite to replace",
                quote(&args.command)
            ),
        ),
    };
    let entries = tree.make_object().entry(&args.section).make_array();
    let at = entries
        .iter()
        .position(|entry| entry.str_at(&[key]) == wanted);
    if at.is_some() && !args.overwrite {
        return said(exists);
    }
    let before = at.map(|at| entries[at].clone()).unwrap_or_default();
    let entry = args.entry(&before)?;
    match at {
        Some(at) => entries[at] = entry,
        None => entries.push(entry),
    }
    save(&place.path, &codec::yaml::write(&tree))?;
    io::line(format!("Updated {}", place.path.display()));
    Ok(())
}

impl SetArgs {
    fn check(&self) -> Result {
        let is_alias = match self.section.as_str() {
            "aliases" => true,
            "defaults" => false,
            "credentialplugin" => {
                return said(
                    "--section=credentialplugin is not supported: plugins are not limited",
                );
            }
            other => {
                return said(format!(
                    "--section must be \"defaults\", \"aliases\", or \"credentialplugin\", got: {other}"
                ));
            }
        };
        if is_alias && self.name.is_empty() {
            return said("--name is required when --section=aliases");
        }
        if !is_alias && !self.name.is_empty() {
            return said("--name should not be specified when --section=defaults");
        }
        if !is_alias && !(self.prependarg.is_empty() && self.appendarg.is_empty()) {
            return said("--prependarg and --appendarg are only valid for --section=aliases");
        }
        match self.command.is_empty() {
            true => said("--command is required when --section=aliases or --section=defaults"),
            false => Ok(()),
        }
    }

    /// The entry as the options make it; what they do not name stays as it was.
    fn entry(&self, before: &Value) -> Result<Value> {
        let mut entry = value!({"command": (self.command.as_str())});
        if !self.name.is_empty() {
            entry.set_at(&["name"], self.name.as_str());
        }
        let mut options = Vec::new();
        for option in &self.option {
            let Some((name, default)) = option.split_once('=') else {
                return said(format!(
                    "invalid option format {}, expected flag=value",
                    quote(option)
                ));
            };
            let name = name.trim_start_matches('-');
            options.push(value!({"name": (name), "default": (default)}));
        }
        let texts = |list: &[String]| list.iter().map(|text| Value::from(text.as_str())).collect();
        let lists: [(&str, Vec<Value>); 3] = [
            ("options", options),
            ("prependArgs", texts(&self.prependarg)),
            ("appendArgs", texts(&self.appendarg)),
        ];
        for (field, given) in lists {
            let kept = match given.is_empty() {
                true => before.items_at(&[field]).to_vec(),
                false => given,
            };
            if !kept.is_empty() {
                entry.set_at(&[field], kept);
            }
        }
        Ok(entry)
    }
}

fn save(path: &Path, text: &str) -> Result {
    let folder = path.parent().unwrap_or(Path::new(""));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text));
    written.or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
}
