//! `debug`: containers to look into pods and nodes with.
//!
//! A pod gets an ephemeral container, or a copy with another one; a node gets a pod that sees it.
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/debug/debug.go.

mod attached;
mod copy;
mod ephemeral;
mod node;
mod profile;
mod spec;

use crate::error::{Result, said};
use crate::select::{Choice, FileArgs, Info, fetch_all};
use crate::shell::Shell;
use crate::{io, words};
use meta::Value;
use profile::Profile;
use std::collections::BTreeMap;

/// The arguments of `debug`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Pods, or objects by type and name.
    names: Vec<String>,
    /// If specified, everything after -- will be passed to the new container as Args instead of
    /// Command.
    #[arg(long)]
    arguments_only: bool,
    /// If true, wait for the container to start running, and then attach to it; the default with
    /// -i/--stdin.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    attach: Option<bool>,
    /// Container name to use for debug container.
    #[arg(short, long, default_value = "")]
    container: String,
    /// Create a copy of the target Pod with this name.
    #[arg(long, default_value = "")]
    copy_to: String,
    /// Path to a JSON or YAML file containing a partial container spec to customize built-in debug
    /// profiles.
    #[arg(long, default_value = "")]
    custom: String,
    /// Environment variables to set in the container.
    #[arg(long)]
    env: Vec<String>,
    /// Files that identify the resource to debug.
    #[arg(short = 'f', long, value_delimiter = ',')]
    filename: Vec<String>,
    /// Container image to use for debug container.
    #[arg(long, default_value = "")]
    image: String,
    /// The image pull policy for the container.
    #[arg(long, default_value = "")]
    image_pull_policy: String,
    #[command(flatten)]
    keep: profile::Keep,
    /// Options are "general", "baseline", "restricted", "netadmin" or "sysadmin".
    #[arg(long, default_value = "general")]
    profile: String,
    /// If true, suppress informational messages.
    #[arg(short, long)]
    quiet: bool,
    /// When used with '--copy-to', delete the original Pod.
    #[arg(long)]
    replace: bool,
    /// When used with '--copy-to', schedule the copy of target Pod on the same node.
    #[arg(long)]
    same_node: bool,
    /// When used with '--copy-to', a list of name=image pairs for changing container images.
    #[arg(long)]
    set_image: Vec<String>,
    /// When used with '--copy-to', enable process namespace sharing in the copy; the default.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    share_processes: Option<bool>,
    /// Keep stdin open on the container(s) in the pod, even if nothing is attached.
    #[arg(short = 'i', long)]
    stdin: bool,
    /// When using an ephemeral container, target processes in this container name.
    #[arg(long, default_value = "")]
    target: String,
    /// Allocate a TTY for the debugging container.
    #[arg(short, long)]
    tty: bool,
    /// The command of the new container.
    #[arg(last = true)]
    command: Vec<String>,
}

/// What is to be done, read from the arguments.
struct Plan<'a> {
    args: &'a Args,
    profile: Profile,
    env: Vec<Value>,
    set_images: BTreeMap<String, String>,
    custom: Option<Value>,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let plan = Plan::of(&args)?;
    validate(&plan)?;
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
    for info in fetch_all(shell, &choice).await? {
        let (pod, container) = visit(shell, &plan, &info).await?;
        if args.attach.unwrap_or(args.stdin) && !container.is_empty() {
            attached::attach(shell, &args, &pod, &container).await?;
        }
    }
    Ok(())
}

/// Makes what looks into an object: the pod and the container in it.
async fn visit(shell: &Shell, plan: &Plan<'_>, info: &Info) -> Result<(Value, String)> {
    let resource = &info.resource;
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Node") => node::visit(shell, plan, info).await,
        ("", "Pod") if !plan.args.copy_to.is_empty() => copy::visit(shell, plan, info).await,
        ("", "Pod") => ephemeral::visit(shell, plan, info).await,
        (group, kind) => {
            let version = info.object.str_at(&["apiVersion"]);
            let version = version.rsplit('/').next().unwrap_or_default();
            let place = match group {
                "" => format!("/{version}"),
                group => format!("{group}/{version}"),
            };
            let what = words::quote(&format!("{place}, Kind={kind}"));
            said(format!("{what} not supported by debug"))
        }
    }
}

impl<'a> Plan<'a> {
    fn of(args: &'a Args) -> Result<Self> {
        let pairs = |flag, given| {
            let pairs = words::pairs(flag, given);
            pairs.map_err(|error| words::flag_usage("debug", error))
        };
        let env = pairs("--env", &args.env)?;
        let variable = |(name, value): (String, String)| {
            let mut variable = meta::value!({"name": (name)});
            variable.set_at(&["value"], value);
            variable
        };
        Ok(Plan {
            args,
            profile: Profile::parse(&args.profile)?,
            env: env.into_iter().map(variable).collect(),
            set_images: pairs("--set-image", &args.set_image)?,
            custom: spec::custom(&args.custom)?,
        })
    }

    /// Says something to people who want to hear it.
    fn tell(&self, text: &str) {
        if !self.args.quiet {
            io::line(text);
        }
    }
}

fn validate(plan: &Plan<'_>) -> Result {
    let args = plan.args;
    if args.attach == Some(true) && args.image.is_empty() && args.container.is_empty() {
        return said(
            "you must specify --container or create a new container using --image in order to attach.",
        );
    }
    validate_copy(plan)?;
    if !args.image.is_empty() {
        words::check_image(&args.image, "")?;
    }
    if args.names.is_empty() && args.filename.is_empty() {
        return said("NAME or filename is required for debug");
    }
    if !["", "Always", "IfNotPresent", "Never"].contains(&args.image_pull_policy.as_str()) {
        let policy = &args.image_pull_policy;
        return said(format!("invalid image pull policy: {policy}"));
    }
    for (container, image) in &plan.set_images {
        words::check_image(image, container)?;
    }
    if !args.target.is_empty() {
        if !args.copy_to.is_empty() {
            return said("--target is incompatible with --copy-to. Use --share-processes instead.");
        }
        plan.tell(&format!(
            "Targeting container {}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.",
            words::quote(&args.target)
        ));
    }
    if args.tty && !args.stdin {
        return said("-i/--stdin is required for containers with -t/--tty=true");
    }
    spec::check_custom(plan.custom.as_ref())?;
    if plan.profile == Profile::Legacy {
        io::warn(
            "--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify other profile, for example \"--profile=general\".",
        );
    }
    Ok(())
}

fn validate_copy(plan: &Plan<'_>) -> Result {
    let args = plan.args;
    if args.copy_to.is_empty() {
        return match () {
            () if args.replace => said("--replace may only be used with --copy-to."),
            () if args.same_node => said("--same-node may only be used with --copy-to."),
            () if !plan.set_images.is_empty() => {
                said("--set-image may only be used with --copy-to.")
            }
            () if args.image.is_empty() => {
                said("you must specify --image when not using --copy-to.")
            }
            () => Ok(()),
        };
    }
    if args.image.is_empty() && plan.set_images.is_empty() && args.command.is_empty() {
        return said("you must specify --image, --set-image or command arguments.");
    }
    if !args.command.is_empty() && args.container.is_empty() && args.image.is_empty() {
        return said("you must specify an existing container or a new image when specifying args.");
    }
    Ok(())
}
