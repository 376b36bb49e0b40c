//! `run`: one pod from an image.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/run/run.go.

use super::create::generated;
use crate::change::Write;
use crate::error::{Result, said};
use crate::print::{DryRunArgs, PrintArgs};
use crate::shell::Shell;
use crate::three_way;
use meta::{Value, value};

/// The arguments of `run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    name: String,
    /// The image for the container to run.
    #[arg(long)]
    image: String,
    /// The port that this container exposes.
    #[arg(long, default_value = "")]
    port: String,
    /// Environment variables to set in the container.
    #[arg(long)]
    env: Vec<String>,
    /// Comma separated labels to apply to the pod.
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
    /// Keep stdin open on the container in the pod.
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Allocate a TTY for the container in the pod.
    #[arg(short, long)]
    tty: bool,
    /// Wait for the Pod to start running, and then attach to the Pod.
    #[arg(long)]
    attach: bool,
    /// If true, run the container in privileged mode.
    #[arg(long)]
    privileged: bool,
    /// An inline JSON override for the generated object.
    #[arg(long, default_value = "")]
    overrides: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-run")]
    field_manager: String,
    /// The arguments of the container.
    #[arg(trailing_var_arg = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.attach || (args.stdin && args.dry_run.dry_run == "none") {
        return said(
            "attaching to the new pod is not supported; create it, then use `kubectl exec`",
        );
    }
    if args.expose && args.port.is_empty() {
        return said("--port must be set when exposing a service");
    }
    let dry_run = args.dry_run.get()?;
    let write = Write::by(&args.field_manager, dry_run);
    let mut reporter = args.print.reporter(dry_run)?;
    let mut pod = pod(&args)?;
    if !args.overrides.is_empty() {
        let overrides = codec::yaml::parse(&args.overrides)
            .or_else(|error| said(format!("invalid overrides: {error}")))?;
        pod = three_way::merge(&Value::object(), &overrides, &pod, None);
    }
    let labels = pod.at(&["metadata", "labels"]).cloned().unwrap_or_default();
    let mut objects = Vec::new();
    if args.expose {
        let port: i64 = args
            .port
            .parse()
            .or_else(|_| said(format!("invalid port {}", args.port)))?;
        objects.push(value!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": (args.name.as_str())},
            "spec": {"ports": [{"port": (port), "protocol": "TCP", "targetPort": (port)}], "selector": (labels)}
        }));
    }
    objects.push(pod);
    for object in objects {
        let object = match write.is_local() {
            true => object,
            false => {
                write
                    .create(shell, &generated(shell, object).await?)
                    .await?
            }
        };
        reporter.report(&object, "created")?;
    }
    Ok(())
}

fn pod(args: &Args) -> Result<Value> {
    let name = args.name.as_str();
    let mut container = value!({"image": (args.image.as_str()), "name": (name), "resources": {}});
    if !args.arguments.is_empty() {
        let field = if args.command { "command" } else { "args" };
        container.set_at(&[field], args.arguments.clone());
    }
    if !args.port.is_empty() {
        let port: i64 = args
            .port
            .parse()
            .or_else(|_| said(format!("invalid port {}", args.port)))?;
        container.set_at(&["ports"], vec![value!({"containerPort": (port)})]);
    }
    let mut env = Vec::new();
    for pair in &args.env {
        match pair.split_once('=') {
            Some((key, value)) => env.push(value!({"name": (key), "value": (value)})),
            None => return said(format!("invalid env: {pair}")),
        }
    }
    if !env.is_empty() {
        container.set_at(&["env"], env);
    }
    if !args.image_pull_policy.is_empty() {
        container.set_at(&["imagePullPolicy"], args.image_pull_policy.as_str());
    }
    if args.stdin {
        container.set_at(&["stdin"], true);
        container.set_at(&["stdinOnce"], true);
    }
    if args.tty {
        container.set_at(&["tty"], true);
    }
    if args.privileged {
        container.set_at(&["securityContext", "privileged"], true);
    }
    let mut pod = value!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": (name), "creationTimestamp": null},
        "spec": {"containers": [(container)], "dnsPolicy": "ClusterFirst", "restartPolicy": (args.restart.as_str())},
        "status": {}
    });
    pod.set_at(&["metadata", "labels"], value!({"run": (name)}));
    if !args.labels.is_empty() {
        let mut labels = value!({});
        for pair in args.labels.split(',') {
            match pair.split_once('=') {
                Some((key, value)) => labels.set_at(&[key], value),
                None => return said(format!("unexpected label spec: {pair}")),
            }
        }
        pod.set_at(&["metadata", "labels"], labels);
    }
    for pair in &args.annotations {
        match pair.split_once('=') {
            Some((key, value)) => pod.set_at(&["metadata", "annotations", key], value),
            None => return said(format!("unexpected annotation spec: {pair}")),
        }
    }
    Ok(pod)
}
