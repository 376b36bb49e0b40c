//! `logs`: what containers have said.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/logs/logs.go.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::shell::Shell;
use crate::{io, pods, words};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use meta::Value;

/// The arguments of `logs`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A pod, or an object that selects pods; then a container.
    names: Vec<String>,
    /// Print the logs of this container.
    #[arg(short, long, default_value = "")]
    container: String,
    /// Get all containers' logs in the pod(s).
    #[arg(long)]
    all_containers: bool,
    /// Get logs from all pod(s). Sets prefix to true.
    #[arg(long)]
    all_pods: bool,
    /// Specify if the logs should be streamed.
    #[arg(short, long)]
    follow: bool,
    /// If true, print the logs for the previous instance of the container in a pod if it exists.
    #[arg(short, long)]
    previous: bool,
    /// Only return logs newer than a relative duration like 5s, 2m, or 3h.
    #[arg(long, default_value = "")]
    since: String,
    /// Only return logs after a specific date (RFC3339).
    #[arg(long, default_value = "")]
    since_time: String,
    /// Lines of recent log file to display; -1 shows all.
    #[arg(long)]
    tail: Option<i64>,
    /// Include timestamps on each line in the log output.
    #[arg(long)]
    timestamps: bool,
    /// Maximum bytes of logs to return; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    limit_bytes: i64,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Prefix each log line with the log source (pod name and container name).
    #[arg(long)]
    prefix: bool,
    /// Specify maximum number of concurrent logs to follow when using by a selector.
    #[arg(long, default_value_t = 5)]
    max_log_requests: usize,
    /// If watching / following pod logs, allow for any errors that occur to be non-fatal.
    #[arg(long)]
    ignore_errors: bool,
    /// Skip verifying the identity of the kubelet that logs are requested from.
    #[arg(long)]
    insecure_skip_tls_verify_backend: bool,
    /// The length of time to wait until at least one pod is running.
    #[arg(long, default_value = "20s")]
    pod_running_timeout: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let mut args = args;
    let word = match (args.names.as_slice(), args.selector.is_empty()) {
        ([], true) => {
            return said(
                "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples",
            );
        }
        ([], false) => None,
        ([_, ..], false) => return said("only a selector (-l) or a POD name is allowed"),
        ([word], true) => Some(word.clone()),
        ([word, container], true) => {
            if !args.container.is_empty() {
                return said("only one of -c or an inline [CONTAINER] arg is allowed");
            }
            args.container.clone_from(container);
            Some(word.clone())
        }
        _ => {
            return said(
                "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples",
            );
        }
    };
    if args.all_containers && !args.container.is_empty() {
        return said("--all-containers=true should not be specified with container name");
    }
    if !args.since.is_empty() && !args.since_time.is_empty() {
        return said("only one of --since-time or --since may be used");
    }
    let pods = match &word {
        Some(word) => named(shell, word, &args).await?,
        None => pods::selected(shell, &shell.namespace()?.0, &args.selector).await?,
    };
    if pods.is_empty() {
        io::warn(format!(
            "No resources found in {} namespace.",
            shell.namespace()?.0
        ));
        return Ok(());
    }
    if args.tail.is_none() && !args.selector.is_empty() {
        args.tail = Some(10);
    }
    args.prefix |= args.all_pods;
    let sources = sources(&pods, &args)?;
    if args.follow && sources.len() > 1 {
        if sources.len() > args.max_log_requests {
            return said(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use --max-log-requests to increase the limit",
                sources.len(),
                args.max_log_requests
            ));
        }
        let mut all: FuturesUnordered<_> = sources.iter().map(|s| s.show(shell, &args)).collect();
        while let Some(done) = all.next().await {
            tolerate(done, &args)?;
        }
        return Ok(());
    }
    for source in &sources {
        tolerate(source.show(shell, &args).await, &args)?;
    }
    Ok(())
}

fn tolerate(done: Result, args: &Args) -> Result {
    match done {
        Err(error) if args.ignore_errors => {
            io::warn(format!("error: {error}"));
            Ok(())
        }
        done => done,
    }
}

async fn named(shell: &Shell, word: &str, args: &Args) -> Result<Vec<Value>> {
    let found = match pods::of(shell, word).await {
        Err(error) if error.is_not_found() && !word.contains('/') => {
            let namespace = words::quote(&shell.namespace()?.0);
            return said(format!(
                "error from server (NotFound): pods {} not found in namespace {namespace}",
                words::quote(word)
            ));
        }
        found => found?,
    };
    if args.all_pods || found.len() < 2 {
        return Ok(found);
    }
    let count = found.len();
    let chosen: Vec<Value> = pods::best(found).into_iter().collect();
    if let Some(pod) = chosen.first() {
        io::warn(format!(
            "Found {count} pods, using pod/{}",
            pod.str_at(&["metadata", "name"])
        ));
    }
    Ok(chosen)
}

struct LogSource {
    namespace: String,
    pod: String,
    container: String,
}

fn sources(found: &[Value], args: &Args) -> Result<Vec<LogSource>> {
    let mut out = Vec::new();
    for pod in found {
        let containers = match args.all_containers {
            true => pods::containers(pod),
            false => match pods::container(pod, &args.container, false) {
                Ok(container) => vec![container],
                Err(_) if !args.container.is_empty() => {
                    return said(format!(
                        "container {} is not valid for pod {}",
                        args.container,
                        pod.str_at(&["metadata", "name"])
                    ));
                }
                Err(error) => return Err(error),
            },
        };
        out.extend(containers.into_iter().map(|container| LogSource {
            namespace: pod.str_at(&["metadata", "namespace"]).to_string(),
            pod: pod.str_at(&["metadata", "name"]).to_string(),
            container,
        }));
    }
    Ok(out)
}

impl LogSource {
    fn path(&self, args: &Args) -> Result<String> {
        let flag = |on: bool| if on { "true" } else { "" };
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        let since = match args.since.as_str() {
            "" => None,
            text => Some(words::duration_flag("--since", text)?.ceil() as i64),
        };
        Ok(query(
            &format!(
                "/api/v1/namespaces/{}/pods/{}/log",
                self.namespace, self.pod
            ),
            &[
                ("container", &self.container),
                ("follow", flag(args.follow)),
                (
                    "insecureSkipTLSVerifyBackend",
                    flag(args.insecure_skip_tls_verify_backend),
                ),
                (
                    "limitBytes",
                    &number(Some(args.limit_bytes).filter(|n| *n > 0)),
                ),
                ("previous", flag(args.previous)),
                ("sinceSeconds", &number(since.filter(|n| *n > 0))),
                ("sinceTime", &args.since_time),
                ("tailLines", &number(args.tail.filter(|n| *n >= 0))),
                ("timestamps", flag(args.timestamps)),
            ],
        ))
    }

    async fn show(&self, shell: &Shell, args: &Args) -> Result {
        let mut pieces = shell.api().await?.stream(&self.path(args)?, "*/*").await?;
        let prefix = match args.prefix {
            true => format!("[pod/{}/{}] ", self.pod, self.container),
            false => String::new(),
        };
        let mut rest = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece: bytes::Bytes = piece.map_err(|error| match error {
                Error::Transport { source, .. } => Error::Said(client::chain(&source)),
                other => other,
            })?;
            if prefix.is_empty() {
                io::bytes(&piece);
                continue;
            }
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                io::bytes(&[prefix.as_bytes(), &line].concat());
            }
        }
        if !rest.is_empty() {
            io::bytes(&[prefix.as_bytes(), &rest, b"\n"].concat());
        }
        Ok(())
    }
}
