//! `port-forward`: ports of a pod on this machine.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/portforward/portforward.go.

mod ports;

use crate::attachable;
use crate::error::{Result, said};
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use crate::streaming::forward::{Forward, addresses, specifications};
use crate::streaming::pod_timeout;
use crate::words::usage;

/// The arguments of `port-forward`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A pod, or an object that selects pods; then ports: [LOCAL_PORT:]REMOTE_PORT.
    names: Vec<String>,
    /// Addresses to listen on (comma separated). Only accepts IP addresses or localhost as a value.
    /// When localhost is supplied, kubectl will try to bind on both 127.0.0.1 and ::1 and will fail
    /// if neither of these addresses are available to bind.
    #[arg(long, value_delimiter = ',', default_value = "localhost")]
    address: Vec<String>,
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is
    /// running.
    #[arg(long, default_value = "1m0s")]
    pod_running_timeout: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let Some((name, wanted)) = args
        .names
        .split_first()
        .filter(|(_, ports)| !ports.is_empty())
    else {
        return said(usage(
            "port-forward",
            "TYPE/NAME and list of ports are required for port-forward",
        ));
    };
    let limit = pod_timeout(&args.pod_running_timeout, "port-forward")?;
    let arguments = [name.clone()];
    let choice = Choice {
        arguments: &arguments,
        default_type: "pods",
        ..Choice::default()
    };
    let infos = fetch_all(shell, &choice).await?;
    let [info] = infos.as_slice() else {
        return said("expected a single object to forward ports of");
    };
    let pod = attachable::pod_of(shell, info, limit).await?;
    let numbers = match (info.resource.group.as_str(), info.resource.kind.as_str()) {
        ("", "Service") => ports::of_service(wanted, &info.object, &pod)?,
        _ => ports::of_pod(wanted, &pod)?,
    };
    let api = shell.api().await?;
    let pods = shell.resource("pods").await?;
    let namespace = pod.str_at(&["metadata", "namespace"]);
    let path = pods.object(namespace, pod.str_at(&["metadata", "name"]));
    let pod = api.get(&path).await?;
    let phase = pod.str_at(&["status", "phase"]);
    if phase != "Running" {
        return said(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        ));
    }
    let forward = Forward {
        api,
        path: format!("{path}/portforward"),
        addresses: addresses(&args.address)?,
        ports: specifications(&numbers)?,
    };
    tokio::select! {
        outcome = forward.run() => outcome,
        // Who ends it by the keyboard got what was wanted.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
