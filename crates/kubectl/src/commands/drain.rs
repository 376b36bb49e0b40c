//! `drain`: takes the pods off nodes, by eviction.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/drain (drain.go, filters.go).

use super::cordon::{nodes, set};
use crate::api::query;
use crate::change::Write;
use crate::deleting::{Deletion, delete, wait_gone};
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs};
use crate::select::{Info, of_server, whole};
use crate::shell::Shell;
use crate::{io, words};
use meta::{LabelSelector, Value, value};
use std::time::Duration;

/// The arguments of `drain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The nodes.
    nodes: Vec<String>,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Label selector to filter pods on the node.
    #[arg(long, default_value = "")]
    pod_selector: String,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Continue even if there are pods that do not declare a controller.
    #[arg(long)]
    force: bool,
    /// Ignore DaemonSet-managed pods.
    #[arg(long)]
    ignore_daemonsets: bool,
    /// Continue even if there are pods using emptyDir.
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Period of time in seconds given to each pod to terminate gracefully.
    #[arg(long, default_value_t = -1)]
    grace_period: i64,
    /// The length of time to wait before giving up, zero means infinite.
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// Force drain to use delete, even if eviction is supported.
    #[arg(long)]
    disable_eviction: bool,
    /// Skip waiting for pods whose deletion is older than this many seconds.
    #[arg(long, default_value_t = 0)]
    skip_wait_for_delete_timeout: i64,
    /// Return large lists in chunks rather than all at once.
    #[arg(long, default_value_t = 500)]
    chunk_size: u32,
}

/// How long one waits before a refused eviction is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let dry_run = args.dry_run.get()?;
    let write = Write::by("kubectl-drain", dry_run);
    let infos = nodes(shell, &args.nodes, &args.selector).await?;
    for info in &infos {
        set(shell, info, &write, true, dry_run.suffix()).await?;
    }
    let limit = words::timeout(&args.timeout)?;
    let (mut failed, mut pending) = (Vec::new(), Vec::new());
    for info in &infos {
        let drain = drain(shell, info, &args, dry_run);
        let drained = match limit {
            None => drain.await,
            Some(limit) => match tokio::time::timeout(limit, drain).await {
                Ok(done) => done,
                Err(_) => said(format!("global timeout reached: {}", args.timeout)),
            },
        };
        match drained {
            Ok(()) => io::line(format!("node/{} drained{}", info.name, dry_run.suffix())),
            Err(error) => {
                let name = words::quote(&info.name);
                let why = error.aggregate();
                io::warn(format!(
                    "error: unable to drain node {name} due to error: {why}, continuing command..."
                ));
                failed.push(error);
                pending.push(&info.name);
            }
        }
    }
    if !pending.is_empty() {
        io::warn("There are pending nodes to be drained:");
        pending.iter().for_each(|name| io::warn(format!(" {name}")));
    }
    Error::collect(failed)
}

async fn drain(shell: &Shell, node: &Info, args: &Args, dry_run: DryRun) -> Result {
    let fields = format!("spec.nodeName={}", node.name);
    let selectors = [
        ("fieldSelector", fields.as_str()),
        ("labelSelector", args.pod_selector.as_str()),
    ];
    if !args.pod_selector.is_empty() {
        LabelSelector::parse(&args.pod_selector).or_else(said)?;
    }
    let list = shell
        .api()
        .await?
        .get(&query("/api/v1/pods", &selectors))
        .await?;
    let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
    let pods: Vec<Value> = list
        .items_at(&["items"])
        .iter()
        .map(|p| whole(p, head))
        .collect();
    let going = sort(&pods, args)?;
    let resource = shell.resource("pods").await?;
    let infos: Vec<Info> = going
        .into_iter()
        .map(|pod| of_server(resource.clone(), pod.clone()))
        .collect();
    for info in &infos {
        let doing = if args.disable_eviction {
            "deleting"
        } else {
            "evicting"
        };
        io::line(format!(
            "{doing} pod {}/{}{}",
            info.namespace,
            info.name,
            dry_run.suffix()
        ));
        if dry_run == DryRun::Client {
            continue;
        }
        evict(shell, info, args, dry_run).await?;
    }
    if dry_run != DryRun::None {
        return Ok(());
    }
    for info in &infos {
        wait_gone(shell, info, info.object.str_at(&["metadata", "uid"]), None).await?;
        let done = if args.disable_eviction {
            "deleted"
        } else {
            "evicted"
        };
        io::line(format!("pod/{} {done}", info.name));
    }
    Ok(())
}

/// The pods that go; refuses where some may not be taken without being told to.
fn sort<'a>(pods: &'a [Value], args: &Args) -> Result<Vec<&'a Value>> {
    let (mut going, mut daemons, mut lonely, mut local) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pod in pods {
        let name = format!(
            "{}/{}",
            pod.str_at(&["metadata", "namespace"]),
            pod.str_at(&["metadata", "name"])
        );
        let annotations = pod.at(&["metadata", "annotations"]);
        if annotations.is_some_and(|a| a.get("kubernetes.io/config.mirror").is_some()) {
            continue;
        }
        let ended = ["Succeeded", "Failed"].contains(&pod.str_at(&["status", "phase"]));
        let mut owners = pod.items_at(&["metadata", "ownerReferences"]).iter();
        let owner = owners.find(|owner| owner.is_true_at(&["controller"]));
        if !ended && owner.is_some_and(|owner| owner.str_at(&["kind"]) == "DaemonSet") {
            daemons.push(name);
            continue;
        }
        let has_local = pod
            .items_at(&["spec", "volumes"])
            .iter()
            .any(|v| v.get("emptyDir").is_some());
        if !ended && has_local && !args.delete_emptydir_data {
            local.push(name);
            continue;
        }
        if !ended && owner.is_none() {
            lonely.push(name);
            if !args.force {
                continue;
            }
        }
        going.push(pod);
    }
    let mut problems = Vec::new();
    if !daemons.is_empty() && !args.ignore_daemonsets {
        problems.push(format!(
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): {}",
            daemons.join(", ")
        ));
    }
    if !local.is_empty() {
        problems.push(format!(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override): {}",
            local.join(", ")
        ));
    }
    if !lonely.is_empty() && !args.force {
        problems.push(format!(
            "cannot delete Pods that declare no controller (use --force to override): {}",
            lonely.join(", ")
        ));
    }
    problems.sort();
    Error::collect(problems.into_iter().map(Error::Said).collect())?;
    if !daemons.is_empty() {
        io::warn(format!(
            "Warning: ignoring DaemonSet-managed Pods: {}",
            daemons.join(", ")
        ));
    }
    if !lonely.is_empty() {
        io::warn(format!(
            "Warning: deleting Pods that declare no controller: {}",
            lonely.join(", ")
        ));
    }
    Ok(going)
}

async fn evict(shell: &Shell, info: &Info, args: &Args, dry_run: DryRun) -> Result {
    let grace = (args.grace_period >= 0).then_some(args.grace_period);
    if args.disable_eviction {
        let how = Deletion {
            propagation: "",
            grace,
            dry_run,
        };
        return delete(shell, info, &how).await.map(|_| ());
    }
    let mut eviction = value!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": (info.name.as_str()), "namespace": (info.namespace.as_str())}
    });
    if let Some(grace) = grace {
        eviction.set_at(&["deleteOptions", "gracePeriodSeconds"], grace);
    }
    let path = query(
        &format!("{}/eviction", info.path()),
        &[("dryRun", dry_run.parameter())],
    );
    loop {
        match shell.api().await?.post(&path, &eviction).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if error.reason() == "TooManyRequests" => {
                io::warn(format!(
                    "error when evicting pods/{} -n {} (will retry after 5s): {}",
                    words::quote(&info.name),
                    words::quote(&info.namespace),
                    error.message()
                ));
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}
