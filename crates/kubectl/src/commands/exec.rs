//! `exec`: a command in a container.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/exec/exec.go.

use crate::attachable;
use crate::error::{Result, said};
use crate::pods;
use crate::select::{Choice, FileArgs, fetch_all};
use crate::shell::Shell;
use crate::streaming::pod_timeout;
use crate::streaming::session::{Session, execute};
use crate::words::usage;
use meta::Value;

/// The arguments of `exec`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A pod, or an object that selects pods.
    names: Vec<String>,
    /// A file to use to exec into the resource.
    #[arg(short = 'f', long, value_delimiter = ',')]
    filename: Vec<String>,
    #[command(flatten)]
    streams: StreamArgs,
    /// The command and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Which container's streams, and which of them: what `exec` and `attach` both take.
#[derive(clap::Args, Debug)]
pub(super) struct StreamArgs {
    /// Container name. If omitted, use the kubectl.kubernetes.io/default-container annotation for
    /// selecting the container to be attached or the first container in the pod will be chosen.
    #[arg(short, long, default_value = "")]
    pub(super) container: String,
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is
    /// running.
    #[arg(long, default_value = "1m0s")]
    pub(super) pod_running_timeout: String,
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

impl StreamArgs {
    /// What is asked for.
    pub(super) fn session(&self) -> Session {
        Session {
            stdin: self.stdin,
            tty: self.tty,
            quiet: self.quiet,
        }
    }
}

const OLD: &str =
    "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead";

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.names.len() > 1
        || (!args.names.is_empty() && !args.filename.is_empty() && args.command.is_empty())
    {
        return said(usage("exec", OLD));
    }
    let limit = pod_timeout(&args.streams.pod_running_timeout, "exec")?;
    if args.names.is_empty() && args.filename.is_empty() {
        return said("pod, type/name or --filename must be specified");
    }
    if args.command.is_empty() {
        return said("you must specify at least one command for the container");
    }
    let files = FileArgs {
        filename: args.filename.clone(),
        ..FileArgs::default()
    };
    let choice = Choice {
        arguments: &args.names,
        files: Some(&files),
        default_type: "pods",
        ..Choice::default()
    };
    let infos = fetch_all(shell, &choice).await?;
    let [info] = infos.as_slice() else {
        return said("cannot exec into multiple objects at a time");
    };
    let pod = attachable::pod_of(shell, info, limit).await?;
    completed(&pod, "cannot exec into a container in a completed pod")?;
    let session = args.streams.session();
    let container = pods::container(&pod, &args.streams.container, session.quiet)?;
    execute(shell, &pod, &container, &args.command, &session).await
}

/// Nothing runs any more in a pod that has ended.
pub(super) fn completed(pod: &Value, complaint: &str) -> Result {
    match pod.str_at(&["status", "phase"]) {
        phase @ ("Succeeded" | "Failed") => said(format!("{complaint}; current phase is {phase}")),
        _ => Ok(()),
    }
}
