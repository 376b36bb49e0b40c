//! `diff`: what `apply` would change.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/diff/diff.go.

use super::apply::{pruned, three_way};
use crate::api::{APPLY_PATCH, MERGE_PATCH, query};
use crate::change::{Write, merge_patch};
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{DryRun, without_managed_fields};
use crate::select::{FileArgs, Info, from_files};
use crate::shell::Shell;
use futures::StreamExt as _;
use meta::Value;
use std::path::{Path, PathBuf};

/// The arguments of `diff`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// If true, apply runs in the server instead of the client.
    #[arg(long)]
    server_side: bool,
    /// If true, server-side apply will force the changes against conflicts.
    #[arg(long)]
    force_conflicts: bool,
    /// Include resources that would be deleted by pruning.
    #[arg(long)]
    prune: bool,
    /// Group, version and kind of what --prune deletes, as core/v1/ConfigMap; may be repeated.
    #[arg(long)]
    prune_allowlist: Vec<String>,
    /// How many objects are processed at a time, to speed the command up.
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// If true, include managed fields in the diff.
    #[arg(long)]
    show_managed_fields: bool,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-client-side-apply")]
    field_manager: String,
}

/// Two folders that go when they are no longer needed.
struct Folders(PathBuf);

impl Drop for Folders {
    fn drop(&mut self) {
        // What is left behind lies in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.files.is_empty() {
        return said("must specify one of -f and -k");
    }
    let root = std::env::temp_dir().join(format!("kubectl-diff-{}", std::process::id()));
    let folders = Folders(root.clone());
    let (live, merged) = (root.join("LIVE"), root.join("MERGED"));
    for folder in [&live, &merged] {
        std::fs::create_dir_all(folder)
            .or_else(|error| said(io::file_words("mkdir", &folder.to_string_lossy(), &error)))?;
    }
    let mut infos = from_files(shell, &args.files).await?;
    if !args.selector.is_empty() {
        let selector = meta::LabelSelector::parse(&args.selector).or_else(said)?;
        infos.retain(|info| selector.matches_value(info.object.at(&["metadata", "labels"])));
    }
    let pairs: Vec<Result<Pair>> = futures::stream::iter(&infos)
        .map(|info| pair(shell, &args, info))
        .buffered(args.concurrency.max(1))
        .collect()
        .await;
    let mut kept = Vec::new();
    for (info, pair) in infos.iter().zip(pairs) {
        let (present, wanted) = pair?;
        let name = file_name(info);
        if let Some(present) = present {
            kept.push(present.clone());
            write(&live.join(&name), &shown(present, &args))?;
        }
        write(&merged.join(&name), &shown(wanted, &args))?;
    }
    if args.prune {
        let pruned = pruned(shell, &args.prune_allowlist, &args.selector, &kept).await?;
        for info in pruned {
            write(&live.join(file_name(&info)), &shown(info.object, &args))?;
        }
    }
    let code = compare(&live, &merged)?;
    drop(folders);
    match code {
        0 => Ok(()),
        code => Err(Error::Exit(code)),
    }
}

/// An object as it is, if it is, and as it would be.
type Pair = (Option<Value>, Value);

async fn pair(shell: &Shell, args: &Args, info: &Info) -> Result<Pair> {
    let present = match info.fetch(shell).await {
        Ok(present) => Some(present),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let wanted = tried(shell, args, info, present.as_ref()).await?;
    Ok((present, wanted))
}

fn shown(object: Value, args: &Args) -> Value {
    let mut object = match args.show_managed_fields {
        true => object,
        false => without_managed_fields(&object),
    };
    if object.str_at(&["kind"]) == "Secret" {
        // Values of secrets are not for terminals.
        if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
            data.iter_mut().for_each(|(_, value)| *value = "***".into());
        }
    }
    object
}

/// The object as it would be, by the server's word.
async fn tried(shell: &Shell, args: &Args, info: &Info, live: Option<&Value>) -> Result<Value> {
    let write = Write::by(&args.field_manager, DryRun::Server);
    if args.server_side {
        let force = if args.force_conflicts { "true" } else { "" };
        let path = query(&write.path(&info.path()), &[("force", force)]);
        return shell
            .api()
            .await?
            .patch(&path, APPLY_PATCH, &info.object)
            .await;
    }
    let Some(live) = live else {
        let mut info = info.clone();
        info.object = super::apply::with_last_applied(&info.object);
        return write.create(shell, &info).await;
    };
    match merge_patch(live, &three_way(&info.object, live)) {
        Some(patch) => write.patch(shell, info, MERGE_PATCH, &patch).await,
        None => Ok(live.clone()),
    }
}

fn file_name(info: &Info) -> String {
    let resource = &info.resource;
    let group = match resource.group.as_str() {
        "" => String::new(),
        group => format!("{group}."),
    };
    format!(
        "{group}{}.{}.{}.{}",
        resource.version, resource.kind, info.namespace, info.name
    )
}

fn write(path: &Path, object: &Value) -> Result {
    std::fs::write(path, codec::yaml::write(object))
        .or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
}

fn compare(live: &Path, merged: &Path) -> Result<u8> {
    let program = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_default();
    let mut words = program.split_whitespace();
    let mut command = match words.next() {
        Some(first) => {
            let mut command = std::process::Command::new(first);
            command.args(words);
            command
        }
        None => {
            let mut command = std::process::Command::new("diff");
            command.args(["-u", "-N"]);
            command
        }
    };
    match command.arg(live).arg(merged).status() {
        Ok(status) => Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(2)),
        Err(error) => said(format!("failed to run diff: {error}")),
    }
}
