//! `rollout`: the revisions of deployments, daemon sets and stateful sets.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/rollout and pkg/polymorphichelpers.

mod history;
mod status;

use crate::api::{JSON_PATCH, STRATEGIC_PATCH};
use crate::change::Write;
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, Info, fetch_all};
use crate::shell::Shell;
use clap::Subcommand;
use meta::{Value, value};

/// The arguments of `rollout`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(clap::Args, Debug)]
struct Common {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-rollout")]
    field_manager: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// View rollout history.
    History {
        #[command(flatten)]
        common: Common,
        /// See the details, including podTemplate of the revision specified.
        #[arg(long, default_value_t = 0)]
        revision: i64,
    },
    /// Mark the provided resource as paused.
    Pause(Common),
    /// Restart a resource.
    Restart(Common),
    /// Resume a paused resource.
    Resume(Common),
    /// Show the status of the rollout.
    Status {
        #[command(flatten)]
        common: Common,
        /// Watch the status of the rollout until it's done.
        #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        watch: bool,
        /// Pin to a specific revision for showing its status; zero is the last revision.
        #[arg(long, default_value_t = 0)]
        revision: i64,
        /// The length of time to wait before ending watch, zero means never.
        #[arg(long, default_value = "0s")]
        timeout: String,
    },
    /// Undo a previous rollout.
    Undo {
        #[command(flatten)]
        common: Common,
        /// The revision to roll back to; zero is the last revision.
        #[arg(long, default_value_t = 0)]
        to_revision: i64,
    },
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::History { common, revision } => {
            for info in common.infos(shell).await? {
                history::show(shell, &info, revision).await?;
            }
            Ok(())
        }
        What::Status {
            common,
            watch,
            revision,
            timeout,
        } => {
            let limit = crate::words::timeout(&timeout)?;
            let infos = common.infos(shell).await?;
            status::show(shell, &infos, watch, revision, limit).await
        }
        What::Pause(common) => {
            common
                .each(shell, "paused", |object| pause(object, true))
                .await
        }
        What::Resume(common) => {
            common
                .each(shell, "resumed", |object| pause(object, false))
                .await
        }
        What::Restart(common) => common.each(shell, "restarted", restart).await,
        What::Undo {
            common,
            to_revision,
        } => undo(shell, &common, to_revision).await,
    }
}

impl Common {
    async fn infos(&self, shell: &Shell) -> Result<Vec<Info>> {
        if self.resources.is_empty() && self.files.is_empty() {
            return said("required resource not specified");
        }
        let choice = Choice {
            arguments: &self.resources,
            files: Some(&self.files),
            labels: &self.selector,
            ..Choice::default()
        };
        fetch_all(shell, &choice).await
    }

    async fn each(
        &self,
        shell: &Shell,
        done: &str,
        change: impl Fn(&Info) -> Result<Value>,
    ) -> Result {
        let dry_run = self.dry_run.get()?;
        let write = Write::by(&self.field_manager, dry_run);
        let mut reporter = self.print.reporter(dry_run)?;
        let mut errors = Vec::new();
        for info in self.infos(shell).await? {
            let changed = match change(&info) {
                Ok(_) if write.is_local() => Ok(info.object.clone()),
                Ok(patch) => write.patch(shell, &info, STRATEGIC_PATCH, &patch).await,
                Err(error) => Err(error),
            };
            match changed {
                Ok(object) => reporter.report(&object, done)?,
                Err(error) => errors.push(error),
            }
        }
        Error::collect(errors)
    }
}

fn pause(info: &Info, pause: bool) -> Result<Value> {
    let verb = if pause { "pausing" } else { "resuming" };
    if info.resource.kind != "Deployment" {
        return said(format!(
            "{} {} {verb} is not supported",
            info.resource.group_resource(),
            crate::words::quote(&info.name)
        ));
    }
    if info.object.is_true_at(&["spec", "paused"]) == pause {
        let already = if pause {
            "is already paused"
        } else {
            "is not paused"
        };
        return said(format!(
            "{} {} {already}",
            info.resource.group_resource(),
            crate::words::quote(&info.name)
        ));
    }
    Ok(value!({"spec": {"paused": (pause)}}))
}

fn restart(info: &Info) -> Result<Value> {
    if !["Deployment", "DaemonSet", "StatefulSet"].contains(&info.resource.kind.as_str()) {
        return said(format!(
            "{} {} restarting is not supported",
            info.resource.group_resource(),
            crate::words::quote(&info.name)
        ));
    }
    if info.object.is_true_at(&["spec", "paused"]) {
        return said(format!(
            "{} {} can't restart paused deployment (run rollout resume first)",
            info.resource.group_resource(),
            crate::words::quote(&info.name)
        ));
    }
    let now = stdx::format_seconds(stdx::Clock::system().wall());
    Ok(
        value!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": (now)}}}}}),
    )
}

async fn undo(shell: &Shell, common: &Common, to: i64) -> Result {
    let dry_run = common.dry_run.get()?;
    let write = Write::by(&common.field_manager, dry_run);
    let mut reporter = common.print.reporter(dry_run)?;
    for info in common.infos(shell).await? {
        if info.object.is_true_at(&["spec", "paused"]) {
            return said(format!(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again (name {})",
                info.name
            ));
        }
        let (revision, mut template) = history::target(shell, &info, to).await?;
        template.remove_at(&["metadata", "labels", "pod-template-hash"]);
        let current = info
            .object
            .at(&["spec", "template"])
            .cloned()
            .unwrap_or_default();
        if template == current {
            let mut shown = crate::print::Reporter::new(
                crate::print::Form::Human { wide: false },
                DryRun::None,
            );
            shown.report(
                &info.object,
                &format!("skipped rollback (current template already matches revision {revision})"),
            )?;
            continue;
        }
        let patch = Value::Array(vec![
            value!({"op": "replace", "path": "/spec/template", "value": (template)}),
        ]);
        let object = match write.is_local() {
            true => info.object.clone(),
            false => write.patch(shell, &info, JSON_PATCH, &patch).await?,
        };
        reporter.report(&object, "rolled back")?;
    }
    Ok(())
}
