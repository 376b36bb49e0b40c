//! `cordon`, `uncordon` and `drain` share how a node is marked; this file is `cordon`.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/drain/cordon.go.

use crate::api::STRATEGIC_PATCH;
use crate::change::Write;
use crate::error::{Result, said};
use crate::io;
use crate::print::DryRunArgs;
use crate::select::{Choice, Info, fetch_all};
use crate::shell::Shell;
use meta::value;

/// The arguments of `cordon` and `uncordon`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The nodes.
    nodes: Vec<String>,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    mark(shell, args, true).await
}

/// Runs either.
pub async fn mark(shell: &Shell, args: Args, unschedulable: bool) -> Result {
    let dry_run = args.dry_run.get()?;
    let write = Write::by("kubectl-cordon", dry_run);
    for info in nodes(shell, &args.nodes, &args.selector).await? {
        set(shell, &info, &write, unschedulable, dry_run.suffix()).await?;
    }
    Ok(())
}

/// The nodes of names or of a selector.
pub async fn nodes(shell: &Shell, names: &[String], selector: &str) -> Result<Vec<Info>> {
    if names.is_empty() && selector.is_empty() {
        return said("USAGE: cordon NODE [flags]");
    }
    let names = names
        .iter()
        .map(|name| name.trim_start_matches("node/").to_string());
    let arguments: Vec<String> = std::iter::once("nodes".to_string()).chain(names).collect();
    let choice = Choice {
        arguments: &arguments,
        labels: selector,
        ..Choice::default()
    };
    fetch_all(shell, &choice).await
}

/// Marks one node and says so.
pub async fn set(
    shell: &Shell,
    info: &Info,
    write: &Write,
    unschedulable: bool,
    suffix: &str,
) -> Result {
    let (done, already) = match unschedulable {
        true => ("cordoned", "already cordoned"),
        false => ("uncordoned", "already uncordoned"),
    };
    if info.object.is_true_at(&["spec", "unschedulable"]) == unschedulable {
        io::line(format!("node/{} {already}{suffix}", info.name));
        return Ok(());
    }
    if !write.is_local() {
        let patch = value!({"spec": {"unschedulable": (unschedulable)}});
        write.patch(shell, info, STRATEGIC_PATCH, &patch).await?;
    }
    io::line(format!("node/{} {done}{suffix}", info.name));
    Ok(())
}
