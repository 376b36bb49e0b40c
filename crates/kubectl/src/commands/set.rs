//! `set`: changes features of objects that have pods, selectors or subjects.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/set.

mod env;
mod pods;
mod subject;

use crate::api::MERGE_PATCH;
use crate::change::{Write, merge_patch};
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, Info, fetch_all, from_files};
use crate::shell::Shell;
use clap::Subcommand;
use meta::{Value, value};

/// The arguments of `set`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Update environment variables on a pod template.
    Env(env::Args),
    /// Update the image of a pod template.
    Image(Common),
    /// Update resource requests/limits on objects with pod templates.
    Resources(ResourcesArgs),
    /// Set the selector on a resource.
    Selector(SelectorArgs),
    /// Update the service account of a resource.
    #[command(alias = "sa")]
    Serviceaccount(Common),
    /// Update the user, group, or service account in a role binding or cluster role binding.
    Subject(subject::Args),
}

#[derive(clap::Args, Debug)]
struct Common {
    /// Types and names, then what to set.
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
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// If true, set will NOT contact api-server but run locally.
    #[arg(long)]
    local: bool,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-set")]
    field_manager: String,
}

#[derive(clap::Args, Debug)]
struct ResourcesArgs {
    #[command(flatten)]
    common: Common,
    /// The names of containers in the selected pod templates to change.
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// The resource requirement limits for this container, e.g. 'cpu=100m,memory=256Mi'.
    #[arg(long, default_value = "")]
    limits: String,
    /// The resource requirement requests for this container.
    #[arg(long, default_value = "")]
    requests: String,
}

#[derive(clap::Args, Debug)]
struct SelectorArgs {
    #[command(flatten)]
    common: Common,
    /// If non-empty, the change will only succeed if this is the current resource version.
    #[arg(long, default_value = "")]
    resource_version: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::Env(args) => env::run(shell, &args).await,
        What::Image(common) => images(shell, &common).await,
        What::Resources(args) => resources(shell, &args).await,
        What::Selector(args) => selector(shell, &args).await,
        What::Serviceaccount(common) => service_account(shell, &common).await,
        What::Subject(args) => subject::run(shell, &args).await,
    }
}

async fn images(shell: &Shell, common: &Common) -> Result {
    let at = common.words.iter().position(|word| word.contains('='));
    let (resources, pairs) = common.words.split_at(at.unwrap_or(common.words.len()));
    common.check(resources)?;
    let infos = common.infos(shell, resources).await?;
    if pairs.is_empty() {
        return said("at least one image update is required");
    }
    if pairs.len() > 1 && pairs.iter().any(|pair| pair.starts_with("*=")) {
        return said(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        );
    }
    let change = Change {
        done: "image updated",
        failed: "failed to patch image update to pod template",
        version: "",
        is_named: false,
    };
    let apply = |object: &mut Value| pods::images(object, pairs);
    common.each(shell, infos, &change, apply).await
}

async fn resources(shell: &Shell, args: &ResourcesArgs) -> Result {
    let common = &args.common;
    common.check(&common.words)?;
    let infos = common.infos(shell, &common.words).await?;
    if args.limits.is_empty() && args.requests.is_empty() {
        return said(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        );
    }
    for text in [&args.limits, &args.requests] {
        pods::check_amounts(text)?;
    }
    let change = Change {
        done: "resource requirements updated",
        failed: "failed to patch resources update to pod template",
        version: "",
        is_named: false,
    };
    let kinds = [
        ("limits", args.limits.as_str()),
        ("requests", &args.requests),
    ];
    let apply = |object: &mut Value| pods::amounts(object, &args.containers, &kinds);
    common.each(shell, infos, &change, apply).await
}

async fn service_account(shell: &Shell, common: &Common) -> Result {
    let Some((name, resources)) = common.words.split_last() else {
        return said("serviceaccount is required");
    };
    let change = Change {
        done: "serviceaccount updated",
        failed: "failed to patch ServiceAccountName",
        version: "",
        is_named: false,
    };
    let apply = |object: &mut Value| {
        let spec = pods::spec(object)?;
        spec.set_at(&["serviceAccountName"], name.as_str());
        spec.set_at(&["serviceAccount"], name.as_str());
        Ok(())
    };
    common.check(resources)?;
    let infos = common.infos(shell, resources).await?;
    common.each(shell, infos, &change, apply).await
}

async fn selector(shell: &Shell, args: &SelectorArgs) -> Result {
    let Some((text, resources)) = args.common.words.split_last() else {
        return said("one selector is required");
    };
    let selector = meta::LabelSelector::parse(text).or_else(said)?;
    let mut labels = value!({});
    for requirement in selector.requirements() {
        match (requirement.operator, requirement.values.as_slice()) {
            (meta::selector::Operator::Equals, [only]) => {
                labels.set_at(&[requirement.key.as_str()], only.as_str());
            }
            _ => {
                return said(format!(
                    "match expression {text} not supported on this object"
                ));
            }
        }
    }
    let change = Change {
        done: "selector updated",
        failed: "failed to patch selector",
        version: &args.resource_version,
        is_named: false,
    };
    let apply = |object: &mut Value| match object.str_at(&["kind"]) {
        "Service" => {
            object.set_at(&["spec", "selector"], labels.clone());
            Ok(())
        }
        _ => said("setting a selector is only supported for Services"),
    };
    let infos = args.common.infos(shell, resources).await?;
    args.common.each(shell, infos, &change, apply).await
}

/// How a change is told.
struct Change<'a> {
    done: &'static str,
    failed: &'static str,
    /// The version that objects must have.
    version: &'a str,
    /// Whether an error names the object that it is about.
    is_named: bool,
}

impl Common {
    fn check(&self, resources: &[String]) -> Result {
        if self.all && !self.selector.is_empty() {
            return said("cannot set --all and --selector at the same time");
        }
        if self.local && self.dry_run.get()? == DryRun::Server {
            return said(
                "cannot specify --local and --dry-run=server - did you mean --dry-run=client?",
            );
        }
        if resources.is_empty() && self.files.is_empty() {
            return said(
                "one or more resources must be specified as <resource> <name> or <resource>/<name>",
            );
        }
        Ok(())
    }

    async fn infos(&self, shell: &Shell, resources: &[String]) -> Result<Vec<Info>> {
        if self.local {
            return from_files(shell, &self.files).await;
        }
        let choice = Choice {
            arguments: resources,
            files: Some(&self.files),
            labels: &self.selector,
            all: self.all,
            ..Choice::default()
        };
        fetch_all(shell, &choice).await
    }

    /// Changes objects. They are read before it is asked how, as upstream does.
    async fn each(
        &self,
        shell: &Shell,
        infos: Vec<Info>,
        change: &Change<'_>,
        apply: impl Fn(&mut Value) -> Result,
    ) -> Result {
        let dry_run = self.dry_run.get()?;
        let write = Write::by(&self.field_manager, dry_run);
        let mut reporter = self.print.reporter(dry_run)?;
        let mut errors = Vec::new();
        for info in infos {
            let mut changed = info.object.clone();
            if let Err(error) = apply(&mut changed) {
                let name = format!("{}/{}", info.resource.name, info.name);
                errors.push(match change.is_named {
                    true => Error::Said(format!("{name} {error}")),
                    false => error,
                });
                continue;
            }
            let Some(mut patch) = merge_patch(&info.object, &changed) else {
                continue;
            };
            if self.local || write.is_local() {
                reporter.report(&changed, change.done)?;
                continue;
            }
            // Lists are sent whole: nobody may have written in between.
            let version = match change.version {
                "" => info.object.str_at(&["metadata", "resourceVersion"]),
                version => version,
            };
            patch.set_at(&["metadata", "resourceVersion"], version);
            match write.patch(shell, &info, MERGE_PATCH, &patch).await {
                Ok(object) => reporter.report(&object, change.done)?,
                Err(error) => {
                    let message = error.message();
                    errors.push(Error::Said(format!("{}: {message}", change.failed)));
                }
            }
        }
        Error::collect(errors)
    }
}
