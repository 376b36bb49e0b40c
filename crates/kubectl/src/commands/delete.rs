//! `delete`: by files, by names, by selectors.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go.

use crate::deleting::{Deletion, delete, propagation, wait_gone};
use crate::discovery::Resource;
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs};
use crate::select::{Choice, FileArgs, Info, Wanted, from_files, list, wanted};
use crate::shell::Shell;
use crate::{io, words};
use http::Method;
use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Duration;

/// The arguments of `delete`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Selector (field query) to filter on.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// Delete all resources, in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// If present, list the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Treat "resource not found" as a successful delete.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ignore_not_found: Option<bool>,
    /// Must be "background", "orphan", or "foreground".
    #[arg(long, default_value = "background", num_args = 0..=1, require_equals = true, default_missing_value = "background")]
    cascade: String,
    /// Period of time in seconds given to the resource to terminate gracefully.
    #[arg(long, default_value_t = -1)]
    grace_period: i64,
    /// If true, resources are signaled for immediate shutdown (same as --grace-period=1).
    #[arg(long)]
    now: bool,
    /// If true, immediately remove resources from API and bypass graceful deletion.
    #[arg(long)]
    force: bool,
    /// The length of time to wait before giving up on a delete, zero means from the object.
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// If true, wait for resources to be gone before returning.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    wait: bool,
    /// If true, delete resource only when user confirms.
    #[arg(short, long)]
    interactive: bool,
    /// Output mode. Use "-o name" for shorter output.
    #[arg(short, long, default_value = "")]
    output: String,
    /// Raw URI to DELETE to the server.
    #[arg(long)]
    raw: Option<String>,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if let Some(path) = &args.raw {
        let api = shell.api().await?;
        io::bytes(&api.exchange(Method::DELETE, path, "*/*", None).await?);
        return Ok(());
    }
    if !["", "name"].contains(&args.output.as_str()) {
        return said(format!(
            "unexpected -o output mode: {}. We only support '-o name'",
            args.output
        ));
    }
    let (how, dry_run) = deletion(&args)?;
    let (infos, mut errors) = chosen(shell, &args).await?;
    if infos.is_empty() && errors.is_empty() {
        io::line("No resources found");
        return Ok(());
    }
    if args.interactive && !confirm(&infos) {
        io::line("deletion is cancelled");
        return Ok(());
    }
    let mut deleted = Vec::new();
    for info in infos {
        let answer = match dry_run {
            DryRun::Client => Ok(info.object.clone()),
            _ => delete(shell, &info, &how).await,
        };
        match answer {
            Ok(answer) => {
                say(&info, &args, dry_run);
                let uid = match answer.str_at(&["kind"]) {
                    "Status" => answer.str_at(&["details", "uid"]),
                    _ => answer.str_at(&["metadata", "uid"]),
                };
                deleted.push((info, uid.to_string()));
            }
            Err(error) if error.is_not_found() && ignores(&args) => {}
            Err(error) => errors.push(error),
        }
    }
    if args.wait && dry_run == DryRun::None {
        let limit = words::duration_flag("--timeout", &args.timeout)?;
        let limit = (limit > 0.0).then(|| Duration::from_secs_f64(limit));
        for (info, uid) in &deleted {
            if info.resource.can("list") && info.resource.can("watch") {
                wait_gone(shell, info, uid, limit).await?;
            }
        }
    }
    Error::collect(errors)
}

fn ignores(args: &Args) -> bool {
    let by_selection = args.all || !args.selector.is_empty() || !args.field_selector.is_empty();
    args.ignore_not_found.unwrap_or(by_selection)
}

fn deletion(args: &Args) -> Result<(Deletion, DryRun)> {
    let propagation = propagation(&args.cascade)?;
    if args.now && args.grace_period >= 0 {
        return said("--now and --grace-period cannot be specified together");
    }
    if args.force && args.grace_period > 0 {
        return said("--force and --grace-period greater than 0 cannot be specified together");
    }
    if args.force {
        io::warn(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.",
        );
    }
    let grace = match args.grace_period {
        _ if args.now => 1,
        // Zero alone is too easily said: the object is given a second.
        0 if !args.force => 1,
        given if args.force && given < 0 => 0,
        given => given,
    };
    let dry_run = args.dry_run.get()?;
    let how = Deletion {
        propagation,
        grace: (grace >= 0).then_some(grace),
        dry_run,
    };
    Ok((how, dry_run))
}

async fn chosen(shell: &Shell, args: &Args) -> Result<(Vec<Info>, Vec<Error>)> {
    if !args.files.is_empty() {
        return Ok((from_files(shell, &args.files).await?, Vec::new()));
    }
    let choice = Choice {
        arguments: &args.resources,
        labels: &args.selector,
        fields: &args.field_selector,
        all: args.all,
        ..Choice::default()
    };
    let (namespace, _) = shell.namespace()?;
    let namespace = if args.all_namespaces { "" } else { &namespace };
    let by_selection = args.all || !args.selector.is_empty() || !args.field_selector.is_empty();
    let (mut infos, mut errors) = (Vec::new(), Vec::new());
    for wanted in wanted(shell, &choice).await? {
        match wanted {
            Wanted::All(_) if !by_selection => {
                return said("resource(s) were provided, but no name was specified");
            }
            Wanted::All(resource) => match list(shell, &resource, namespace, &choice).await {
                Ok(found) => infos.extend(found),
                Err(error) => errors.push(error),
            },
            Wanted::Names(resource, names) => {
                infos.extend(names.iter().map(|name| named(&resource, namespace, name)));
            }
        }
    }
    Ok((infos, errors))
}

fn named(resource: &Arc<Resource>, namespace: &str, name: &str) -> Info {
    Info {
        resource: resource.clone(),
        namespace: if resource.namespaced { namespace } else { "" }.to_string(),
        name: name.to_string(),
        source: String::new(),
        object: meta::Value::object(),
    }
}

fn say(info: &Info, args: &Args, dry_run: DryRun) {
    if args.output == "name" {
        return io::line(info.title());
    }
    let done = if args.force {
        "force deleted"
    } else {
        "deleted"
    };
    let suffix = dry_run.suffix();
    let prefix = info.resource.prefix();
    io::line(format!(
        "{prefix} {} {done}{suffix}",
        words::quote(&info.name)
    ));
}

fn confirm(infos: &[Info]) -> bool {
    io::line(format!(
        "You are about to delete the following {} resource(s):",
        infos.len()
    ));
    infos.iter().for_each(|info| io::line(info.title()));
    io::out("Do you want to continue? (y/N): ");
    let mut answer = String::new();
    // No answer is no.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}
