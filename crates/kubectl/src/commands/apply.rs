//! `apply`: makes the cluster's objects what files say.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/apply/apply.go and patcher.go.

mod last_applied;
mod prune;

use crate::api::{APPLY_PATCH, MERGE_PATCH, query};
use crate::change::{Write, WriteArgs, merge_patch};
use crate::deleting::{DeleteArgs, remove};
use crate::error::{Error, Result, said};
use crate::print::{self, DryRun, DryRunArgs, PrintArgs, Reporter};
use crate::select::{FileArgs, Info, from_files};
use crate::shell::Shell;
use crate::{io, words};
use clap::Subcommand;
use codec::patch::three_way;
use meta::Value;

pub(crate) use last_applied::{LAST_APPLIED, with_generated, with_last_applied};
pub(crate) use prune::pruned;

const CONFLICT_HELP: &str = "Please review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";
const ATTEMPTS: usize = 5;

/// The arguments of `apply`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Below>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// If true, apply runs in the server instead of the client.
    #[arg(long)]
    server_side: bool,
    /// If true, server-side apply will force the changes against conflicts.
    #[arg(long)]
    force_conflicts: bool,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Automatically resolve conflicts between the modified and live configuration.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    overwrite: bool,
    /// Delete what was applied before and is not in the files any more.
    #[arg(long)]
    prune: bool,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// Group, version and kind of what --prune deletes, as core/v1/ConfigMap; may be repeated.
    #[arg(long)]
    prune_allowlist: Vec<String>,
    #[command(flatten)]
    delete: DeleteArgs,
    /// If specified, apply will operate on the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Uses openapi to calculate diff; the schema is always known.
    #[arg(long)]
    openapi_patch: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Below {
    /// Edit latest last-applied-configuration annotations of a resource/object.
    EditLastApplied(last_applied::EditArgs),
    /// Set the latest last-applied-configuration annotations by file.
    SetLastApplied(last_applied::SetArgs),
    /// View the latest last-applied-configuration annotations by resource or file.
    ViewLastApplied(last_applied::ViewArgs),
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match &args.command {
        Some(Below::EditLastApplied(args)) => return last_applied::edit(shell, args).await,
        Some(Below::SetLastApplied(args)) => return last_applied::set(shell, args).await,
        Some(Below::ViewLastApplied(args)) => return last_applied::view(shell, args).await,
        None => {}
    }
    if args.force_conflicts && !args.server_side {
        return said("--force-conflicts only works with --server-side");
    }
    if args.files.is_empty() {
        return said("must specify one of -f and -k");
    }
    let dry_run = args.dry_run.get()?;
    check(&args, dry_run)?;
    let prune = prune::Pruner::new(shell, &args, dry_run).await?;
    let apply = Apply {
        shell,
        write: Write::new(&args.write, manager(&args), dry_run)?,
        dry_run,
        args: &args,
    };
    let mut reporter = args.print.reporter(dry_run)?;
    let (mut errors, mut objects) = (Vec::new(), Vec::new());
    let mut applied = Vec::new();
    for info in chosen(from_files(shell, &args.files).await?, &args.selector)? {
        match apply.one(&info).await {
            Ok((object, done)) => {
                applied.push(object.clone());
                match reporter.is_human() {
                    true => reporter.report(&object, done)?,
                    false => objects.push(object),
                }
            }
            Err(error) => errors.push(error),
        }
    }
    print_all(&mut reporter, objects)?;
    Error::collect(errors)?;
    match prune {
        Some(prune) => prune.run(&applied, &mut reporter).await,
        None => Ok(()),
    }
}

fn check(args: &Args, dry_run: DryRun) -> Result {
    if args.server_side && args.delete.force {
        return said("--force cannot be used with --server-side");
    }
    if args.server_side && dry_run == DryRun::Client {
        return said(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        );
    }
    match !args.subresource.is_empty() && !args.server_side {
        true => said("--subresource can only be used with --server-side"),
        false => args.delete.check(),
    }
}

fn manager(args: &Args) -> &'static str {
    match args.server_side {
        true => "kubectl",
        false => "kubectl-client-side-apply",
    }
}

fn chosen(mut infos: Vec<Info>, selector: &str) -> Result<Vec<Info>> {
    if !selector.is_empty() {
        let selector = meta::LabelSelector::parse(selector).or_else(said)?;
        infos.retain(|info| selector.matches_value(info.object.at(&["metadata", "labels"])));
    }
    Ok(infos)
}

fn print_all(reporter: &mut Reporter, mut objects: Vec<Value>) -> Result {
    match objects.len() {
        0 => Ok(()),
        1 => objects
            .pop()
            .map_or(Ok(()), |object| reporter.print(&object)),
        _ => reporter.print(&print::list(objects)),
    }
}

struct Apply<'a> {
    shell: &'a Shell,
    args: &'a Args,
    write: Write,
    dry_run: DryRun,
}

impl Apply<'_> {
    async fn one(&self, info: &Info) -> Result<(Value, &'static str)> {
        if info.name.is_empty() {
            let generated = info.object.str_at(&["metadata", "generateName"]);
            return said(match generated {
                "" => format!(
                    "error when applying {}: resource name may not be empty",
                    words::quote(&info.source)
                ),
                name => format!("from {name}: cannot use generate name with apply"),
            });
        }
        if self.args.server_side {
            return self.on_server(info).await;
        }
        let live = match info.fetch(self.shell).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return self.create(info).await,
            Err(error) => {
                let doing = "error when retrieving current configuration of:\n";
                return Err(error.doing(&format!("{doing}{}", describe(info))));
            }
        };
        self.update(info, live).await
    }

    async fn create(&self, info: &Info) -> Result<(Value, &'static str)> {
        let mut info = info.clone();
        info.object = with_last_applied(&info.object);
        let doing = format!("error when creating {}", words::quote(&info.source));
        let created = self.write.create(self.shell, &info).await;
        Ok((created.map_err(|error| error.doing(&doing))?, "created"))
    }

    async fn update(&self, info: &Info, mut live: Value) -> Result<(Value, &'static str)> {
        if last_applied::of(&live).is_none() {
            io::warn(format!(
                "Warning: resource {}/{} is missing the kubectl.kubernetes.io/last-applied-configuration annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
                info.resource.name, info.name
            ));
        }
        for attempt in 1..=ATTEMPTS {
            let merged = three_way(&info.object, &live);
            let Some(mut patch) = merge_patch(&live, &merged) else {
                return Ok((live, "unchanged"));
            };
            if self.dry_run == DryRun::Client {
                return Ok((merged, "configured"));
            }
            // What was merged is what was read: nobody may have written in between.
            let version = live.str_at(&["metadata", "resourceVersion"]).to_string();
            patch.set_at(&["metadata", "resourceVersion"], version);
            match self
                .write
                .patch(self.shell, info, MERGE_PATCH, &patch)
                .await
            {
                Ok(object) => return Ok((object, "configured")),
                Err(error) if error.reason() == "Conflict" && attempt < ATTEMPTS => {
                    live = info.fetch(self.shell).await?;
                }
                Err(error)
                    if self.args.delete.force
                        && ["Invalid", "Conflict"].contains(&error.reason()) =>
                {
                    return self.recreate(info).await;
                }
                Err(error) => {
                    patch.remove_at(&["metadata", "resourceVersion"]);
                    let doing = format!(
                        "error when applying patch:\n{}\nto:\n{}\nfor: {}",
                        patch.to_json(),
                        describe(info),
                        words::quote(&info.source)
                    );
                    let doing = format!(
                        "{doing}: error when patching {}",
                        words::quote(&info.source)
                    );
                    return Err(error.doing(&doing));
                }
            }
        }
        said("the object changed again and again while it was applied")
    }

    async fn recreate(&self, info: &Info) -> Result<(Value, &'static str)> {
        let how = self.args.delete.deletion(self.dry_run)?;
        remove(self.shell, info, &how, self.args.delete.limit()?).await?;
        let (object, _) = self.create(info).await?;
        Ok((object, "configured"))
    }

    async fn on_server(&self, info: &Info) -> Result<(Value, &'static str)> {
        let force = if self.args.force_conflicts {
            "true"
        } else {
            ""
        };
        let object = match self.args.subresource.as_str() {
            "" => info.path(),
            below => format!("{}/{below}", info.path()),
        };
        let path = query(&self.write.path(&object), &[("force", force)]);
        let api = self.shell.api().await?;
        match api.patch(&path, APPLY_PATCH, &info.object).await {
            Ok(object) => Ok((object, "serverside-applied")),
            Err(error) if error.reason() == "Conflict" => {
                let Error::Refused(refusal) = &error else {
                    return Err(error);
                };
                said(format!(
                    "{}\n{CONFLICT_HELP}",
                    refusal.status.str_at(&["message"])
                ))
            }
            Err(error) => Err(error),
        }
    }
}

/// The live object as applying this one makes it.
pub(crate) fn three_way(object: &Value, live: &Value) -> Value {
    let last = last_applied::of(live).unwrap_or_else(Value::object);
    let now = with_last_applied(object);
    let schema = api::schema::of(object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
    three_way::merge(&last, &now, live, schema)
}

fn describe(info: &Info) -> String {
    let resource = &info.resource;
    format!(
        "Resource: \"{}, Resource={}\", GroupVersionKind: \"{}, Kind={}\"\nName: {}, Namespace: {}",
        api_version(resource),
        resource.name,
        api_version(resource),
        resource.kind,
        words::quote(&info.name),
        words::quote(&info.namespace)
    )
}

fn api_version(resource: &crate::discovery::Resource) -> String {
    match resource.group.as_str() {
        "" => format!("/{}", resource.version),
        group => format!("{group}/{}", resource.version),
    }
}
