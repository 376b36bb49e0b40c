//! `scale`: how many there shall be.

use crate::api::{MERGE_PATCH, query};
use crate::error::{Error, Result, said};
use crate::marking::needs_names;
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, fetch};
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments of `scale`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// The new desired number of replicas.
    #[arg(long, required = true)]
    replicas: i64,
    /// Precondition for current size.
    #[arg(long, default_value_t = -1)]
    current_replicas: i64,
    /// Precondition for resource version.
    #[arg(long, default_value = "")]
    resource_version: String,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// The length of time to wait before giving up on a scale operation; zero means not to wait.
    #[arg(long, default_value = "0s")]
    timeout: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let replicas = args.replicas;
    if replicas < 0 {
        return said(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        );
    }
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        labels: &args.selector,
        all: args.all,
        ..Choice::default()
    };
    needs_names(&choice)?;
    let dry_run = args.dry_run.get()?;
    let mut reporter = args.print.reporter(dry_run)?;
    let api = shell.api().await?;
    let (infos, errors) = fetch(shell, &choice).await?;
    if infos.is_empty() {
        let words: Vec<String> = errors.iter().map(Error::message).collect();
        return said(format!("no objects passed to scale {}", words.join(", ")));
    }
    Error::collect(errors)?;
    for mut info in infos {
        if !info.resource.subresources.iter().any(|sub| sub == "scale") {
            return Err(Error::refused(value!({
                "reason": "NotFound", "message": "the server could not find the requested resource"
            })));
        }
        let current = info.object.i64_at(&["spec", "replicas"]).unwrap_or(0);
        if args.current_replicas >= 0 && current != args.current_replicas {
            return said(format!(
                "Expected replicas to be {}, was {current}",
                args.current_replicas
            ));
        }
        if dry_run != DryRun::Client {
            let mut patch = value!({"spec": {"replicas": (replicas)}});
            if !args.resource_version.is_empty() {
                patch.set_at(
                    &["metadata", "resourceVersion"],
                    args.resource_version.as_str(),
                );
            }
            let path = query(
                &format!("{}/scale", info.path()),
                &[("dryRun", dry_run.parameter())],
            );
            api.patch(&path, MERGE_PATCH, &patch).await?;
        }
        info.object
            .set_at(&["spec", "replicas"], Value::from(replicas));
        reporter.report(&info.object, "scaled")?;
    }
    Ok(())
}
