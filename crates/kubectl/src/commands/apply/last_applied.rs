//! The annotation that keeps what was applied last.

use crate::api::MERGE_PATCH;
use crate::change::Write;
use crate::error::{Result, said};
use crate::io;
use crate::print::{self, DryRunArgs};
use crate::select::{Choice, FileArgs, fetch_all, from_files};
use crate::shell::Shell;
use meta::Value;

/// The annotation's name.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The arguments of `apply view-last-applied`.
#[derive(clap::Args, Debug)]
pub struct ViewArgs {
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// Output format: yaml or json.
    #[arg(short, long, default_value = "yaml")]
    output: String,
}

/// The arguments of `apply set-last-applied`.
#[derive(clap::Args, Debug)]
pub struct SetArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Will create 'last-applied-configuration' annotations if current objects doesn't have one.
    #[arg(long)]
    create_annotation: bool,
}

/// What was applied last, if anything.
pub fn of(live: &Value) -> Option<Value> {
    let text = live.str_at(&["metadata", "annotations", LAST_APPLIED]);
    codec::json::parse_value(text.as_bytes()).ok()
}

/// The object with itself as what was applied last.
pub fn with_last_applied(object: &Value) -> Value {
    let mut bare = object.clone();
    let annotations = bare.make_object().object("metadata").object("annotations");
    annotations.remove(LAST_APPLIED);
    let mut text = crate::print::compact(&bare);
    text.push('\n');
    let mut whole = bare;
    whole.set_at(&["metadata", "annotations", LAST_APPLIED], text);
    whole
}

/// Runs `view-last-applied`.
pub async fn view(shell: &Shell, args: &ViewArgs) -> Result {
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        labels: &args.selector,
        all: args.all,
        ..Choice::default()
    };
    for info in fetch_all(shell, &choice).await? {
        let Some(last) = of(&info.object) else {
            return said(format!(
                "no last-applied-configuration annotation found on resource: {}",
                info.name
            ));
        };
        match args.output.as_str() {
            "yaml" => io::out(&codec::yaml::write(&last)),
            "json" => io::line(print::json(&last)),
            other => {
                return said(format!(
                    "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
                ));
            }
        }
    }
    Ok(())
}

/// Runs `set-last-applied`.
pub async fn set(shell: &Shell, args: &SetArgs) -> Result {
    let dry_run = args.dry_run.get()?;
    let write = Write::by("kubectl-last-applied", dry_run);
    let mut reporter = print::PrintArgs::default().reporter(dry_run)?;
    for info in from_files(shell, &args.files).await? {
        let live = info.fetch(shell).await?;
        if of(&live).is_none() && !args.create_annotation {
            return said(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                info.name
            ));
        }
        let text = with_last_applied(&info.object);
        let text = text.str_at(&["metadata", "annotations", LAST_APPLIED]);
        let mut patch = Value::object();
        patch.set_at(&["metadata", "annotations", LAST_APPLIED], text);
        if !write.is_local() {
            write.patch(shell, &info, MERGE_PATCH, &patch).await?;
        }
        reporter.report(&live, "configured")?;
    }
    Ok(())
}
