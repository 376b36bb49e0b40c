//! `patch`: changes fields of objects.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/patch/patch.go.

use crate::api::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH};
use crate::change::Write;
use crate::error::{Result, said};
use crate::io;
use crate::marking::needs_names;
use crate::overriding::patched;
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, fetch_all, from_files};
use crate::shell::Shell;

/// The arguments of `patch`.
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
    /// The patch to be applied, JSON or YAML.
    #[arg(short, long)]
    patch: Option<String>,
    /// A file containing a patch to be applied to the resource.
    #[arg(long)]
    patch_file: Option<String>,
    /// The type of patch being provided; one of [json merge strategic].
    #[arg(long = "type", default_value = "strategic")]
    kind: String,
    /// If true, patch will operate on the content of the file, not the server-side resource.
    #[arg(long)]
    local: bool,
    /// If specified, patch will operate on the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-patch")]
    field_manager: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let kind = match args.kind.to_lowercase().as_str() {
        "json" => JSON_PATCH,
        "merge" => MERGE_PATCH,
        "strategic" => STRATEGIC_PATCH,
        other => {
            return said(format!(
                "--type must be one of [json merge strategic], not {}",
                crate::words::quote(other)
            ));
        }
    };
    let text = match (&args.patch, &args.patch_file) {
        (Some(_), Some(_)) => return said("cannot specify --patch and --patch-file together"),
        (Some(text), None) => text.clone(),
        (None, Some(file)) => io::read(file)?,
        (None, None) => {
            return said(
                "must specify --patch or --patch-file containing the contents of the patch",
            );
        }
    };
    let patch = codec::yaml::parse(&text).or_else(|error| {
        said(format!(
            "unable to parse {}: {error}",
            crate::words::quote(&text)
        ))
    })?;
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        ..Choice::default()
    };
    needs_names(&choice)?;
    let dry_run = args.dry_run.get()?;
    let write = Write::by(&args.field_manager, dry_run);
    // Upstream names no dry run here: what it says is set after that was noted.
    let mut reporter = args.print.reporter(DryRun::None)?;
    let infos = match args.local {
        true => from_files(shell, &args.files).await?,
        false => fetch_all(shell, &choice).await?,
    };
    for mut info in infos {
        if !args.subresource.is_empty() {
            info.name = format!("{}/{}", info.name, args.subresource);
        }
        let object = match args.local || write.is_local() {
            true => patched(&info.object, kind, &patch)?,
            false => write.patch(shell, &info, kind, &patch).await?,
        };
        let done = match object == info.object {
            true => "patched (no change)",
            false => "patched",
        };
        reporter.report(&object, done)?;
    }
    Ok(())
}
