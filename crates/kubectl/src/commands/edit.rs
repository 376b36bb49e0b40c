//! `edit`: an object in an editor.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/edit/edit.go, with the patch made from what was
//! read and what was written.

use super::apply::with_last_applied;
use crate::api::MERGE_PATCH;
use crate::change::{Write, WriteArgs, merge_patch};
use crate::editing::{OBJECT_HEAD, Session};
use crate::error::{Result, said};
use crate::io;
use crate::print::{DryRun, PrintArgs};
use crate::select::{Choice, FileArgs, Info, fetch_all};
use crate::shell::Shell;
use meta::Value;

/// The arguments of `edit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// If specified, edit will operate on the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Output the patch if the resource is edited.
    #[arg(long)]
    output_patch: bool,
    /// If true, the configuration of current object will be saved in its annotation.
    #[arg(long)]
    save_config: bool,
    /// End lines as Windows does.
    #[arg(long)]
    windows_line_endings: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        ..Choice::default()
    };
    crate::marking::needs_names(&choice)?;
    let session = Session {
        head: OBJECT_HEAD,
        as_json: args.print.output.as_deref() == Some("json"),
        windows: args.windows_line_endings,
    };
    let infos = fetch_all(shell, &choice).await?;
    if infos.is_empty() {
        return said("edit cancelled, no objects found");
    }
    let mut reporter = PrintArgs::default().reporter(DryRun::None)?;
    for info in infos {
        let title = info.title();
        let edited = session.edit(&title, &info.object, async |before, after| {
            save(shell, &args, &info, before, after).await
        });
        if let Some(object) = edited.await? {
            reporter.report(&object, "edited")?;
        }
    }
    Ok(())
}

async fn save(
    shell: &Shell,
    args: &Args,
    info: &Info,
    before: &Value,
    after: &Value,
) -> Result<Option<Value>> {
    let after = match args.save_config {
        true => with_last_applied(after),
        false => after.clone(),
    };
    let Some(patch) = merge_patch(before, &after) else {
        io::warn("Edit cancelled, no changes made.");
        return Ok(None);
    };
    if args.output_patch {
        io::line(format!("Patch: {}", crate::print::compact(&patch)));
    }
    let mut info = info.clone();
    if !args.subresource.is_empty() {
        info.name = format!("{}/{}", info.name, args.subresource);
    }
    let write = Write::new(&args.write, "kubectl-edit", DryRun::None)?;
    write
        .patch(shell, &info, MERGE_PATCH, &patch)
        .await
        .map(Some)
}
