//! `cluster-info dump`: nodes, and of each namespace its events, workloads, pods and their logs.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/clusterinfo/clusterinfo_dump.go.

use crate::api::query;
use crate::error::{Result, said};
use crate::io;
use crate::print::{DryRun, Form, PrintArgs, Reporter};
use crate::shell::Shell;
use meta::Value;
use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The arguments of `cluster-info dump`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    print: PrintArgs,
    /// A folder for the files; standard output when it is empty or `-`.
    #[arg(long, default_value = "")]
    output_directory: String,
    /// A comma separated list of namespaces to dump.
    #[arg(long, value_delimiter = ',')]
    namespaces: Vec<String>,
    /// If true, dump all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// The length of time to wait until at least one pod is running.
    #[arg(long, default_value = "20s")]
    pod_running_timeout: String,
}

/// What is dumped of a namespace: the resource, where it is served, and its file.
const KINDS: [(&str, &str, &str); 7] = [
    ("events", "/api/v1", "events"),
    (
        "replicationcontrollers",
        "/api/v1",
        "replication-controllers",
    ),
    ("services", "/api/v1", "services"),
    ("daemonsets", "/apis/apps/v1", "daemonsets"),
    ("deployments", "/apis/apps/v1", "deployments"),
    ("replicasets", "/apis/apps/v1", "replicasets"),
    ("pods", "/api/v1", "pods"),
];

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    crate::words::duration_flag("--pod-running-timeout", &args.pod_running_timeout)?;
    let mut print = args.print.clone();
    print.output.get_or_insert_with(|| "json".into());
    let reporter = print.reporter(DryRun::None)?;
    let extension = match &reporter.form {
        Form::Json => "json",
        Form::Yaml => "yaml",
        _ => "txt",
    };
    let mut dump = Dump {
        shell,
        args,
        reporter,
        extension,
    };
    dump.list("/api/v1/nodes", "nodes").await?;
    for namespace in dump.namespaces().await? {
        dump.namespace(&namespace).await?;
    }
    if dump.is_in_files() {
        io::line(format!("Cluster info dumped to {}", args.output_directory));
    }
    Ok(())
}

struct Dump<'a> {
    shell: &'a Shell,
    args: &'a Args,
    reporter: Reporter,
    extension: &'static str,
}

impl Dump<'_> {
    fn is_in_files(&self) -> bool {
        !["", "-"].contains(&self.args.output_directory.as_str())
    }

    async fn namespaces(&self) -> Result<Vec<String>> {
        if self.args.all_namespaces {
            let all = self.shell.api().await?.get("/api/v1/namespaces").await?;
            let names = all.items_at(&["items"]).iter();
            return Ok(names
                .map(|namespace| namespace.str_at(&["metadata", "name"]).to_string())
                .collect());
        }
        Ok(match self.args.namespaces.is_empty() {
            true => vec!["kube-system".into(), self.shell.namespace()?.0],
            false => self.args.namespaces.clone(),
        })
    }

    async fn namespace(&mut self, namespace: &str) -> Result {
        let mut pods = Value::Null;
        for (resource, root, file) in KINDS {
            let path = format!("{root}/namespaces/{namespace}/{resource}");
            // The pods come last, and their logs follow.
            pods = self.list(&path, &format!("{namespace}/{file}")).await?;
        }
        for pod in pods.items_at(&["items"]) {
            self.logs(namespace, pod).await?;
        }
        Ok(())
    }

    async fn list(&mut self, path: &str, file: &str) -> Result<Value> {
        let list = self.shell.api().await?.get(path).await?;
        let text = self.reporter.render(&list)?;
        self.write(&format!("{file}.{}", self.extension), text.as_bytes())?;
        Ok(list)
    }

    async fn logs(&self, namespace: &str, pod: &Value) -> Result {
        let name = pod.str_at(&["metadata", "name"]);
        let mut out = Vec::new();
        let containers = ["initContainers", "containers"].map(|list| pod.items_at(&["spec", list]));
        for container in containers.into_iter().flatten() {
            let container = container.str_at(&["name"]);
            let about = format!("logs for container {container} of pod {namespace}/{name} ====\n");
            out.extend_from_slice(format!("==== START {about}").as_bytes());
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log");
            let path = query(&path, &[("container", container)]);
            match self.shell.api().await?.raw(&path).await {
                Ok(bytes) => out.extend_from_slice(&bytes),
                Err(error) => {
                    let text = format!("Request log error: {}\n", error.message());
                    out.extend_from_slice(text.as_bytes());
                }
            }
            out.extend_from_slice(format!("==== END {about}").as_bytes());
        }
        self.write(&format!("{namespace}/{name}/logs.txt"), &out)
    }

    /// Writes a file below the folder, for its owner only, or to standard output.
    fn write(&self, name: &str, bytes: &[u8]) -> Result {
        if !self.is_in_files() {
            io::bytes(bytes);
            return Ok(());
        }
        let path = PathBuf::from(&self.args.output_directory).join(name);
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| options.open(&path))
            .and_then(|mut file| file.write_all(bytes));
        written.or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
    }
}
