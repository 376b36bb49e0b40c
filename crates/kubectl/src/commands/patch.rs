//! `patch`: changes fields of objects.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/patch/patch.go.

use crate::api::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH};
use crate::change::Write;
use crate::error::{Result, said};
use crate::io;
use crate::marking::needs_names;
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, fetch_all};
use crate::shell::Shell;
use meta::Value;

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
    if args.local {
        return said("--local is not supported; use --dry-run=server");
    }
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
    let mut reporter = args.print.reporter(dry_run)?;
    for mut info in fetch_all(shell, &choice).await? {
        let before = version(&info.object).to_string();
        if !args.subresource.is_empty() {
            info.name = format!("{}/{}", info.name, args.subresource);
        }
        let object = match write.is_local() {
            true => info.object.clone(),
            false => write.patch(shell, &info, kind, &patch).await?,
        };
        let changed = version(&object) != before;
        reporter.report(
            &object,
            if changed || write.is_local() {
                "patched"
            } else {
                "patched (no change)"
            },
        )?;
    }
    Ok(())
}

fn version(object: &Value) -> &str {
    object.str_at(&["metadata", "resourceVersion"])
}
