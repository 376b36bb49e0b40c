//! `attach`: the streams of a container that runs.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/attach/attach.go.

use super::exec::completed;
use crate::attachable;
use crate::error::{Result, said};
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use crate::streaming::session::{Session, attach};
use crate::streaming::{detach, pod_timeout};

/// The arguments of `attach`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A pod, or an object that selects pods.
    names: Vec<String>,
    /// Container name. If omitted, use the kubectl.kubernetes.io/default-container annotation for
    /// selecting the container to be attached or the first container in the pod will be chosen.
    #[arg(short, long, default_value = "")]
    container: String,
    /// Override the key sequence for detaching a container.
    #[arg(long, default_value = detach::DEFAULT)]
    detach_keys: String,
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is
    /// running.
    #[arg(long, default_value = "1m0s")]
    pod_running_timeout: String,
    /// Only print output from the remote session.
    #[arg(short, long)]
    quiet: bool,
    /// Pass stdin to the container.
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Stdin is a TTY.
    #[arg(short, long)]
    tty: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let limit = pod_timeout(&args.pod_running_timeout, "attach")?;
    match args.names.len() {
        0 => return said("at least 1 argument is required for attach"),
        1 | 2 => {}
        count => {
            return said(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {count}: [{}]",
                args.names.join(" ")
            ));
        }
    }
    let choice = Choice {
        arguments: &args.names,
        default_type: "pods",
        ..Choice::default()
    };
    let infos = fetch_all(shell, &choice).await?;
    let [info] = infos.as_slice() else {
        return said("expected a single object to attach to");
    };
    let pod = attachable::pod_of(shell, info, limit).await?;
    completed(&pod, "cannot attach a container in a completed pod")?;
    let session = Session {
        stdin: args.stdin,
        tty: args.tty,
        quiet: args.quiet,
    };
    attach(shell, &pod, &args.container, &args.detach_keys, session).await
}
