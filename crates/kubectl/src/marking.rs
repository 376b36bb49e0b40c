//! What `label` and `annotate` share: pairs of text in an object's metadata.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/label/label.go and annotate/annotate.go.

use crate::api::MERGE_PATCH;
use crate::change::Write;
use crate::error::{Error, Result, said};
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, Info, fetch_all, from_files};
use crate::shell::Shell;
use crate::{io, words};
use meta::Value;

/// The arguments of both.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names, then `key=value` to set and `key-` to remove.
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Selector (field query) to filter on.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// Select all resources, in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// If true, check the specified action in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// If true, allow what is there to be overwritten.
    #[arg(long)]
    overwrite: bool,
    /// If true, will NOT contact api-server but run locally.
    #[arg(long)]
    local: bool,
    /// If true, display what is there for a given resource.
    #[arg(long)]
    list: bool,
    /// If non-empty, the change will only succeed if this is the current resource version.
    #[arg(long, default_value = "")]
    resource_version: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "")]
    field_manager: String,
}

/// What is marked, and how it is told.
pub struct Mark {
    /// `labels` or `annotations`.
    pub field: &'static str,
    /// `label` or `annotation`.
    pub noun: &'static str,
    /// `label` or `annotate`.
    pub verb: &'static str,
}

/// Runs either.
pub async fn run(shell: &Shell, args: Args, mark: &Mark) -> Result {
    let at = args.words.iter().position(|word| is_change(word));
    let (resources, pairs) = args.words.split_at(at.unwrap_or(args.words.len()));
    let (set, removed) = words::changes(mark.noun, pairs)?;
    if set.is_empty() && removed.is_empty() && !args.list {
        return said(format!("at least one {} update is required", mark.noun));
    }
    let dry_run = args.dry_run.get()?;
    let manager = match args.field_manager.as_str() {
        "" => format!("kubectl-{}", mark.verb),
        named => named.to_string(),
    };
    let write = Write::by(&manager, dry_run);
    let mut reporter = args.print.reporter(dry_run)?;
    let infos = infos(shell, &args, resources).await?;
    let alone = infos.len() == 1;
    for info in infos {
        if args.list {
            show(&info, mark, alone);
            continue;
        }
        check(&info, &set, &args, mark)?;
        for key in &removed {
            if info.object.at(&["metadata", mark.field, key]).is_none() {
                io::warn(format!("{} {} not found.", mark.noun, words::quote(key)));
            }
        }
        let (object, patch) = change(&info, &set, &removed, &args, mark);
        let done = told(&info, &object, &set, &removed, mark);
        let object = match args.local || write.is_local() {
            true => object,
            false => write.patch(shell, &info, MERGE_PATCH, &patch).await?,
        };
        reporter.report(&object, done)?;
    }
    Ok(())
}

fn is_change(word: &str) -> bool {
    word.contains('=') || (word.ends_with('-') && word.len() > 1)
}

async fn infos(shell: &Shell, args: &Args, resources: &[String]) -> Result<Vec<Info>> {
    if args.local {
        return from_files(shell, &args.files).await;
    }
    if resources.is_empty() && args.files.is_empty() {
        return said(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        );
    }
    let choice = Choice {
        arguments: resources,
        files: Some(&args.files),
        labels: &args.selector,
        fields: &args.field_selector,
        all: args.all,
        all_namespaces: args.all_namespaces,
        ..Choice::default()
    };
    needs_names(&choice)?;
    fetch_all(shell, &choice).await
}

/// Types alone are not enough where objects are changed.
pub fn needs_names(choice: &Choice<'_>) -> Result {
    let selects = choice.all || !choice.labels.is_empty() || !choice.fields.is_empty();
    let has_files = choice.files.is_some_and(|files| !files.is_empty());
    match choice.arguments {
        [one] if !selects && !has_files && !one.contains('/') => {
            said("resource(s) were provided, but no name was specified")
        }
        _ => Ok(()),
    }
}

/// Lists what is there; several objects are told apart by a line each.
fn show(info: &Info, mark: &Mark, alone: bool) {
    let mut margin = "";
    if !alone {
        let resource = &info.resource;
        let (kind, group, name) = (&resource.kind, &resource.group, &info.name);
        io::line(format!("Listing {} for {kind}.{group}/{name}:", mark.field));
        margin = " ";
    }
    let all = info
        .object
        .at(&["metadata", mark.field])
        .and_then(Value::as_object);
    for (key, value) in all.into_iter().flat_map(meta::Map::iter) {
        io::line(format!(
            "{margin}{key}={}",
            value.as_str().unwrap_or_default()
        ));
    }
}

fn check(info: &Info, set: &[(String, String)], args: &Args, mark: &Mark) -> Result {
    if mark.field == "labels" {
        for (key, value) in set {
            let problems = meta::names::label_value(value);
            if !problems.is_empty() {
                return said(format!(
                    "invalid label value: {}: {}",
                    words::quote(&format!("{key}={value}")),
                    problems.join("; ")
                ));
            }
        }
    }
    if args.overwrite {
        return Ok(());
    }
    let mut errors = Vec::new();
    for (key, value) in set {
        let present = info
            .object
            .at(&["metadata", mark.field, key])
            .and_then(Value::as_str);
        if let Some(present) = present.filter(|present| present != value) {
            errors.push(Error::Said(match mark.field {
                "labels" => format!("'{key}' already has a value ({present}), and --overwrite is false"),
                _ => format!("--overwrite is false but found the following declared annotation(s): '{key}' already has a value ({present})"),
            }));
        }
    }
    Error::collect(errors)
}

fn change(
    info: &Info,
    set: &[(String, String)],
    removed: &[String],
    args: &Args,
    mark: &Mark,
) -> (Value, Value) {
    let (mut object, mut patch) = (info.object.clone(), Value::object());
    for (key, value) in set {
        object.set_at(&["metadata", mark.field, key], value.as_str());
        patch.set_at(&["metadata", mark.field, key], value.as_str());
    }
    for key in removed {
        object.remove_at(&["metadata", mark.field, key]);
        patch.set_at(&["metadata", mark.field, key], Value::Null);
    }
    if !args.resource_version.is_empty() {
        patch.set_at(
            &["metadata", "resourceVersion"],
            args.resource_version.as_str(),
        );
    }
    (object, patch)
}

fn told(
    info: &Info,
    object: &Value,
    set: &[(String, String)],
    removed: &[String],
    mark: &Mark,
) -> &'static str {
    if mark.field == "annotations" {
        return "annotated";
    }
    match info.object == *object {
        true => "not labeled",
        false if set.is_empty() && !removed.is_empty() => "unlabeled",
        false => "labeled",
    }
}
