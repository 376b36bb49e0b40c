//! `rollout`: the revisions of deployments, daemon sets and stateful sets.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/rollout and pkg/polymorphichelpers.

mod history;
mod status;

use crate::api::{JSON_PATCH, STRATEGIC_PATCH};
use crate::change::Write;
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs, Form, PrintArgs, Reporter};
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

/// What is rolled out.
#[derive(clap::Args, Debug)]
struct Target {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
}

#[derive(clap::Args, Debug)]
struct Common {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    print: PrintArgs,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = MANAGER)]
    field_manager: String,
}

const MANAGER: &str = "kubectl-rollout";

#[derive(Debug, Subcommand)]
enum What {
    /// View rollout history.
    History {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        print: PrintArgs,
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
        target: Target,
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
        target: Target,
        #[command(flatten)]
        print: PrintArgs,
        #[command(flatten)]
        dry_run: DryRunArgs,
        /// The revision to roll back to; zero is the last revision.
        #[arg(long, default_value_t = 0)]
        to_revision: i64,
    },
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::History {
            target,
            print,
            revision,
        } => {
            let mut reporter = print.reporter(DryRun::None)?;
            for info in target.infos(shell).await? {
                match reporter.is_human() {
                    true => history::show(shell, &info, revision).await?,
                    false => history::print(shell, &info, revision, &mut reporter).await?,
                }
            }
            Ok(())
        }
        What::Status {
            target,
            watch,
            revision,
            timeout,
        } => {
            let limit = crate::words::timeout(&timeout)?;
            let infos = target.infos(shell).await?;
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
            target,
            print,
            dry_run,
            to_revision,
        } => {
            let dry_run = dry_run.get()?;
            let mut reporter = print.reporter(dry_run)?;
            let write = Write::by(MANAGER, dry_run);
            let infos = target.infos(shell).await?;
            undo(shell, &infos, to_revision, &write, &mut reporter).await
        }
    }
}

impl Target {
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
}

impl Common {
    async fn each(
        &self,
        shell: &Shell,
        done: &str,
        change: impl Fn(&Info) -> Result<Value>,
    ) -> Result {
        let write = Write::by(&self.field_manager, DryRun::None);
        let mut reporter = self.print.reporter(DryRun::None)?;
        let mut errors = Vec::new();
        for info in self.target.infos(shell).await? {
            let changed = match change(&info) {
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

async fn undo(
    shell: &Shell,
    infos: &[Info],
    to: i64,
    write: &Write,
    reporter: &mut Reporter,
) -> Result {
    for info in infos {
        if info.object.is_true_at(&["spec", "paused"]) {
            return said(format!(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again (name {})",
                info.name
            ));
        }
        let (revision, mut template) = history::target(shell, info, to).await?;
        template.remove_at(&["metadata", "labels", "pod-template-hash"]);
        let current = info
            .object
            .at(&["spec", "template"])
            .cloned()
            .unwrap_or_default();
        if template == current {
            let mut shown = Reporter::new(Form::Human { wide: false }, DryRun::None);
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
            false => write.patch(shell, info, JSON_PATCH, &patch).await?,
        };
        reporter.report(&object, "rolled back")?;
    }
    Ok(())
}
