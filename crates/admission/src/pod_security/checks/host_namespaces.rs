//! The host's network, processes and IPC stay the host's.

use super::{Check, Level, Pod, Violation, violation};

pub(super) const CHECK: Check = Check {
    id: "hostNamespaces",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
    let shared: Vec<String> = shared
        .filter(|key| pod.spec.is_true_at(&[key]))
        .map(|key| format!("{key}=true"))
        .collect();
    match shared.is_empty() {
        true => None,
        false => violation("host namespaces", shared.join(", ")),
    }
}
