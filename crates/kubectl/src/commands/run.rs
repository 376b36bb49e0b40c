//! `run`: one pod from an image.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/run/run.go.

mod attached;
mod pod;

use super::apply::with_last_applied;
use super::create::generated;
use crate::change::Write;
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{FileArgs, Info};
use crate::shell::Shell;
use crate::streaming::session::Session;
use crate::streaming::{detach, pod_timeout};
use crate::{io, words};
use meta::Value;

/// The arguments of `run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The pod's name; then the container's arguments.
    names: Vec<String>,
    /// The image for the container to run.
    #[arg(long)]
    image: Option<String>,
    /// The port that this container exposes.
    #[arg(long, default_value = "")]
    port: String,
    /// Environment variables to set in the container.
    #[arg(long)]
    env: Vec<String>,
    /// Comma separated labels to apply to the pod. Will override previous values.
    #[arg(short, long, default_value = "")]
    labels: String,
    /// Annotations to apply to the pod.
    #[arg(long)]
    annotations: Vec<String>,
    /// The restart policy for this Pod: Always, OnFailure, Never.
    #[arg(long, default_value = "Always")]
    restart: String,
    /// The image pull policy for the container.
    #[arg(long, default_value = "")]
    image_pull_policy: String,
    /// If true and extra arguments are present, use them as the 'command' field.
    #[arg(long)]
    command: bool,
    /// If true, create a ClusterIP service associated with the pod; needs --port.
    #[arg(long)]
    expose: bool,
    /// Keep stdin open on the container in the pod, even if nothing is attached.
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Allocate a TTY for the container in the pod.
    #[arg(short, long)]
    tty: bool,
    /// If true, wait for the Pod to start running, and then attach to it; the default with
    /// -i/--stdin. With '--restart=Never' the exit code of the container process is returned.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    attach: Option<bool>,
    /// Override the key sequence for detaching a container.
    #[arg(long, default_value = detach::DEFAULT)]
    detach_keys: String,
    /// If the pod is started with stdin, leave stdin open after the first attach completes.
    #[arg(long)]
    leave_stdin_open: bool,
    /// If true, delete the pod after it exits. Only valid when attaching to the container.
    #[arg(long)]
    rm: bool,
    /// If true, suppress prompt messages.
    #[arg(short, long)]
    quiet: bool,
    /// If true, run the container in privileged mode.
    #[arg(long)]
    privileged: bool,
    /// An inline JSON override for the generated object.
    #[arg(long, default_value = "")]
    overrides: String,
    /// The method used to override the generated object: json, merge, or strategic.
    #[arg(long, default_value = "merge")]
    override_type: String,
    /// The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is
    /// running.
    #[arg(long, default_value = "1m0s")]
    pod_running_timeout: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-run")]
    field_manager: String,
    /// If true, the configuration of current object will be saved in its annotation.
    #[arg(long)]
    save_config: bool,
    /// The command or the arguments of the container.
    #[arg(last = true)]
    words: Vec<String>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    deletion: DeletionArgs,
}

/// How what was created is deleted with --rm.
#[derive(clap::Args, Debug)]
struct DeletionArgs {
    /// Must be "background", "orphan", or "foreground".
    #[arg(long, default_value = "background", num_args = 0..=1, require_equals = true, default_missing_value = "background")]
    cascade: String,
    /// If true, immediately remove resources from API and bypass graceful deletion.
    #[arg(long)]
    force: bool,
    /// Period of time in seconds given to the resource to terminate gracefully; the pod's own is
    /// kept.
    #[arg(long, default_value_t = -1)]
    grace_period: i64,
    /// The length of time to wait before giving up on a delete; nothing is waited for.
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// If true, wait for resources to be gone before returning; nothing is waited for.
    #[arg(long)]
    wait: bool,
}

impl Args {
    fn attaches(&self) -> bool {
        self.attach.unwrap_or(self.stdin)
    }
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let Some(image) = &args.image else {
        return said("required flag(s) \"image\" not set");
    };
    let limit = pod_timeout(&args.pod_running_timeout, "run")?;
    let dry_run = args.dry_run.get()?;
    validate(&args, image, dry_run)?;
    let write = Write::by(&args.field_manager, dry_run);
    let mut reporter = args.print.reporter(dry_run)?;
    let mut created = vec![make(shell, &args, &write, pod::pod(&args)?).await?];
    let mut errors = Vec::new();
    if args.expose {
        match make(shell, &args, &write, pod::service(&args)?).await {
            Ok(service) => created.push(service),
            Err(error) => errors.push(error),
        }
    }
    if args.attaches() {
        let session = Session {
            stdin: args.stdin,
            tty: args.tty,
            quiet: args.quiet,
        };
        let waits = !args.leave_stdin_open;
        let policy = waits.then_some(args.restart.as_str());
        let attached = attached::Attached {
            shell,
            limit,
            session,
            detach_keys: &args.detach_keys,
        };
        let outcome = attached.run(&created[0], policy).await;
        if args.rm && !matches!(outcome, Err(Error::Exit(_))) {
            // That it could not be removed does not change how it ended.
            let _ = attached::remove(shell, &created, &args).await;
        }
        return outcome;
    }
    for info in &created {
        reporter.report(&info.object, "created")?;
    }
    Error::collect(errors)
}

fn validate(args: &Args, image: &str, dry_run: DryRun) -> Result {
    if !args.files.is_empty() {
        io::warn(
            "Flag --filename has been deprecated, it is ignored by kubectl run and will be removed in a future release",
        );
    }
    if args.names.is_empty() {
        return said("NAME is required for run");
    }
    if image.is_empty() {
        return said("--image is required");
    }
    words::check_image(image, "")?;
    if args.tty && !args.stdin {
        return said("-i/--stdin is required for containers with -t/--tty=true");
    }
    if args.expose && args.port.is_empty() {
        return said("--port must be set when exposing a service");
    }
    if !args.port.is_empty() && args.port.parse::<i32>().is_err() {
        return said("--port must be a number");
    }
    if !args.attaches() && args.rm {
        return said("--rm should only be used for attached containers");
    }
    if args.attaches() && dry_run != DryRun::None {
        return said(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        );
    }
    Ok(())
}

/// Creates an object and gives what the server made of it.
async fn make(shell: &Shell, args: &Args, write: &Write, object: Value) -> Result<Info> {
    let mut info = generated(shell, object).await?;
    if write.is_local() {
        if !shell.namespace()?.1 {
            info.object.remove_at(&["metadata", "namespace"]);
        }
        return Ok(info);
    }
    if args.save_config {
        info.object = with_last_applied(&info.object);
    }
    info.object = write.create(shell, &info).await?;
    Ok(info)
}
