//! `create`: from files, or from a generator's options.

mod cluster_role;
mod config_map;
mod deployment;
mod ingress;
mod job;
mod namespace;
mod role;
mod role_binding;
mod secret;
mod service;
mod service_account;
mod simple;
mod sources;
mod token;

use super::apply::{with_generated, with_last_applied};
use crate::change::{Write, WriteArgs};
use crate::editing::{OBJECT_HEAD, Session};
use crate::error::{Error, Result, said};
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{FileArgs, Info, from_files};
use crate::shell::Shell;
use crate::{io, words};
use clap::Subcommand;
use meta::Value;

/// The arguments of `create`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    common: Common,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Edit the API resource before creating.
    #[arg(long)]
    edit: bool,
    /// End lines as Windows does, with --edit.
    #[arg(long)]
    windows_line_endings: bool,
    /// Raw URI to POST to the server.
    #[arg(long)]
    raw: Option<String>,
}

/// The options of all that is created.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) print: PrintArgs,
    #[command(flatten)]
    pub(crate) dry_run: DryRunArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// If true, the configuration of current object will be saved in its annotation.
    #[arg(long)]
    pub(crate) save_config: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a cluster role.
    Clusterrole(cluster_role::Args),
    /// Create a cluster role binding for a particular cluster role.
    Clusterrolebinding(role_binding::ClusterArgs),
    /// Create a config map from a local file, directory or literal value.
    #[command(alias = "cm")]
    Configmap(config_map::Args),
    /// Create a cron job with the specified name.
    #[command(alias = "cj")]
    Cronjob(job::CronArgs),
    /// Create a deployment with the specified name.
    #[command(alias = "deploy")]
    Deployment(deployment::Args),
    /// Create an ingress with the specified name.
    #[command(alias = "ing")]
    Ingress(ingress::Args),
    /// Create a job with the specified name.
    Job(job::Args),
    /// Create a namespace with the specified name.
    #[command(alias = "ns")]
    Namespace(namespace::Args),
    /// Create a pod disruption budget with the specified name.
    #[command(alias = "pdb")]
    Poddisruptionbudget(simple::BudgetArgs),
    /// Create a priority class with the specified name.
    #[command(alias = "pc")]
    Priorityclass(simple::PriorityArgs),
    /// Create a quota with the specified name.
    #[command(alias = "resourcequota")]
    Quota(simple::QuotaArgs),
    /// Create a role with single rule.
    Role(role::Args),
    /// Create a role binding for a particular role or cluster role.
    Rolebinding(role_binding::Args),
    /// Create a secret using a specified subcommand.
    Secret(secret::Args),
    /// Create a service using a specified subcommand.
    #[command(alias = "svc")]
    Service(service::Args),
    /// Create a service account with the specified name.
    #[command(alias = "sa")]
    Serviceaccount(service_account::Args),
    /// Request a service account token.
    Token(token::Args),
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.what {
        Some(What::Clusterrole(a)) => one(shell, &a.common, a.object(shell).await?).await,
        Some(What::Clusterrolebinding(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Configmap(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Cronjob(a)) => one(shell, &a.common, a.object()).await,
        Some(What::Deployment(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Ingress(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Job(a)) => one(shell, &a.common, a.object(shell).await?).await,
        Some(What::Namespace(a)) => one(shell, &a.common, a.object()).await,
        Some(What::Poddisruptionbudget(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Priorityclass(a)) => one(shell, &a.common, a.object()).await,
        Some(What::Quota(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Role(a)) => one(shell, &a.common, a.object(shell).await?).await,
        Some(What::Rolebinding(a)) => one(shell, &a.common, a.object()?).await,
        Some(What::Secret(a)) => {
            let (common, object) = a.object()?;
            one(shell, &common, object).await
        }
        Some(What::Service(a)) => {
            let (common, object) = a.object()?;
            one(shell, &common, object).await
        }
        Some(What::Serviceaccount(a)) => one(shell, &a.common, a.object()).await,
        Some(What::Token(a)) => token::run(shell, a).await,
        None => from(shell, args).await,
    }
}

async fn from(shell: &Shell, args: Args) -> Result {
    if let Some(path) = &args.raw {
        let text = match args.files.filename.as_slice() {
            [file] => io::read(file)?,
            _ => return said("--raw can only use a single local file or stdin"),
        };
        let answer = shell
            .api()
            .await?
            .send_raw(http::Method::POST, path, text)
            .await?;
        io::bytes(&answer);
        return Ok(());
    }
    if args.files.is_empty() {
        io::warn("Error: must specify one of -f and -k\n");
        let page = crate::help::page(&crate::cli::command(), "kubectl create");
        io::warn(page.trim_end());
        return Err(Error::Exit(1));
    }
    let mut infos = from_files(shell, &args.files).await?;
    if !args.selector.is_empty() {
        let selector = meta::LabelSelector::parse(&args.selector).or_else(said)?;
        infos.retain(|info| selector.matches_value(info.object.at(&["metadata", "labels"])));
    }
    let dry_run = args.common.dry_run.get()?;
    let write = Write::new(&args.common.write, "kubectl-create", dry_run)?;
    let mut reporter = args.common.print.reporter(dry_run)?;
    let mut errors = Vec::new();
    for mut info in infos {
        if args.edit {
            match edited(&args, &info).await? {
                Some(object) => info.object = object,
                None => continue,
            }
        }
        if args.common.save_config {
            info.object = with_last_applied(&info.object);
        }
        let doing = format!("error when creating {}", words::quote(&info.source));
        match write.create(shell, &info).await {
            Ok(object) => reporter.report(&object, "created")?,
            Err(error) => errors.push(error.doing(&doing)),
        }
    }
    Error::collect(errors)
}

/// The object as the user edits it before it is created.
async fn edited(args: &Args, info: &Info) -> Result<Option<Value>> {
    let session = Session {
        head: OBJECT_HEAD,
        as_json: args.common.print.output.as_deref() == Some("json"),
        windows: args.windows_line_endings,
    };
    let keep = async |_: &Value, after: &Value| Ok(Some(after.clone()));
    session.edit(&info.title(), &info.object, keep).await
}

/// Creates what a generator made.
pub(crate) async fn one(shell: &Shell, common: &Common, mut object: Value) -> Result {
    let dry_run = common.dry_run.get()?;
    let write = Write::new(&common.write, "kubectl-create", dry_run)?;
    let mut reporter = common.print.reporter(dry_run)?;
    object = local(shell, object)?;
    if common.save_config {
        object = with_generated(&object);
    }
    let object = match write.is_local() {
        true => object,
        false => {
            write
                .create(shell, &generated(shell, object).await?)
                .await?
        }
    };
    reporter.report(&object, "created")
}

/// What is generated lands in a namespace only when one was asked for.
fn local(shell: &Shell, mut object: Value) -> Result<Value> {
    let (namespace, asked) = shell.namespace()?;
    const OF_THE_CLUSTER: [&str; 4] = [
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "PriorityClass",
    ];
    if asked && !OF_THE_CLUSTER.contains(&object.str_at(&["kind"])) {
        object.set_at(&["metadata", "namespace"], namespace);
    }
    Ok(object)
}

/// A generated object in the namespace of the call.
pub(crate) async fn generated(shell: &Shell, mut object: Value) -> Result<Info> {
    let resource = shell.resource_of(&object).await?;
    let namespace = match resource.namespaced {
        true => shell.namespace()?.0,
        false => String::new(),
    };
    if resource.namespaced {
        object.set_at(&["metadata", "namespace"], namespace.as_str());
    }
    Ok(Info {
        name: object.str_at(&["metadata", "name"]).to_string(),
        namespace,
        resource,
        source: String::new(),
        object,
    })
}
