//! What a person would look at after a failure.

use crate::cluster::Cluster;

const LOG_LINES: usize = 60;

/// The state of a cluster, or of one namespace of it.
pub(crate) fn of(cluster: &Cluster, namespace: Option<&str>) -> String {
    let scope = match namespace {
        Some(namespace) => format!("-n {namespace}"),
        None => "-A".to_string(),
    };
    let kubectl = cluster.kubectl();
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
    text.push_str(&log_of(cluster));
    text
}

/// The end of the server's log.
pub(crate) fn log_of(cluster: &Cluster) -> String {
    let log = cluster.log();
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    format!(
        "--- the server's log ends so:\n{}\n",
        lines[from..].join("\n")
    )
}
