//! What a person would look at after a failure.

use crate::cluster::{Cluster, log_in};
use crate::kubectl::Kubectl;
use std::path::Path;

const LOG_LINES: usize = 60;

/// The state of a cluster, or of one namespace of it.
pub(crate) fn of(cluster: &Cluster, namespace: Option<&str>) -> String {
    let scope = match namespace {
        Some(namespace) => format!("-n {namespace}"),
        None => "-A".to_string(),
    };
    let log = log_of(cluster);
    format!("{}{log}", said_by(&cluster.kubectl(), &scope))
}

/// The state of the cluster that lives in a folder.
pub(crate) fn of_root(root: &Path) -> String {
    let kubectl = Kubectl::new(&root.join("kubeconfig.yaml"), root);
    let log = end_of(&log_in(root));
    format!("{}{log}", said_by(&kubectl, "-A"))
}

fn said_by(kubectl: &Kubectl, scope: &str) -> String {
    let mut text = String::new();
    for arguments in [
        format!("get all {scope} -o wide"),
        format!("get events {scope} --sort-by=.lastTimestamp"),
        format!(
            "get pods {scope} -o jsonpath='{{range .items[*]}}{{.metadata.name}}{{\" \"}}{{.status.phase}}{{.status.initContainerStatuses[*].state}}{{.status.containerStatuses[*].state}}{{\"\\n\"}}{{end}}'"
        ),
    ] {
        let said = kubectl
            .run(&format!("{arguments} --request-timeout=5s"))
            .text();
        text.push_str(&format!("$ kubectl {arguments}\n{said}\n"));
    }
    text
}

/// The end of the server's log.
pub(crate) fn log_of(cluster: &Cluster) -> String {
    end_of(&cluster.log())
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    format!(
        "--- the server's log ends so:\n{}\n",
        lines[from..].join("\n")
    )
}
