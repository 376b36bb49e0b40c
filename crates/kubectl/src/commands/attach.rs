//! `attach`: the streams of a container that runs.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/attach/attach.go.

use super::exec::{StreamArgs, completed};
use crate::attachable;
use crate::error::{Result, said};
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use crate::streaming::session::attach;
use crate::streaming::{detach, pod_timeout};

/// The arguments of `attach`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A pod, or an object that selects pods.
    names: Vec<String>,
    /// Override the key sequence for detaching a container.
    #[arg(long, default_value = detach::DEFAULT)]
    detach_keys: String,
    #[command(flatten)]
    streams: StreamArgs,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let limit = pod_timeout(&args.streams.pod_running_timeout, "attach")?;
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
    let session = args.streams.session();
    let container = &args.streams.container;
    attach(shell, &pod, container, &args.detach_keys, session).await
}
