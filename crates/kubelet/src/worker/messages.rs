//! Last words of ended containers.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_container.go,
//! getTerminationMessage.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use container::status::{ContainerState, ContainerStatus};

use crate::labels::{TERMINATION_MESSAGE_FILE, TERMINATION_MESSAGE_POLICY};
use crate::logs;

const MESSAGE_MAX: u64 = 4096;
const LOG_BYTES_MAX: usize = 2048;
const LOG_LINES_MAX: usize = 80;

/// Reads what is not known yet.
pub fn read_all(containers: &[ContainerStatus], known: &mut HashMap<String, String>) {
    for container in containers {
        if container.state == ContainerState::Exited && !known.contains_key(&container.id) {
            known.insert(container.id.clone(), read(container));
        }
    }
    known.retain(|id, _| containers.iter().any(|container| container.id == *id));
}

fn read(container: &ContainerStatus) -> String {
    let file = container.annotations.get(TERMINATION_MESSAGE_FILE);
    let written = file
        .and_then(|path| read_file(Path::new(path)).ok())
        .unwrap_or_default();
    let policy = container.annotations.get(TERMINATION_MESSAGE_POLICY);
    let falls_back = policy.is_some_and(|policy| policy == "FallbackToLogsOnError");
    let failed = container.exit_code != 0;
    let text = match (
        &container.log_path,
        written.is_empty() && falls_back && failed,
    ) {
        (Some(log), true) => logs::tail(log, LOG_LINES_MAX, LOG_BYTES_MAX).unwrap_or_default(),
        _ => written,
    };
    if text.is_empty() {
        container.message.clone()
    } else {
        text
    }
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MESSAGE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
