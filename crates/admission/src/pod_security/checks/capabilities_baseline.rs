//! No capabilities are added beyond those that containers have by default.

use super::{Check, Level, Pod, Violation, named, quoted, set, violation};
use meta::Value;

const ALLOWED: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) const CHECK: Check = Check {
    id: "capabilities_baseline",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    let bad = pod.containers_that(|c| added(c).any(|a| !ALLOWED.contains(&a)));
    if bad.is_empty() {
        return None;
    }
    let capabilities = set(pod
        .containers()
        .flat_map(added)
        .filter(|a| !ALLOWED.contains(a)));
    violation(
        "non-default capabilities",
        format!(
            "{} must not include {} in securityContext.capabilities.add",
            named(&bad),
            quoted(&capabilities)
        ),
    )
}

/// The capabilities that a container adds.
pub(super) fn added(container: &Value) -> impl Iterator<Item = &str> {
    let added = container.items_at(&["securityContext", "capabilities", "add"]);
    added.iter().filter_map(Value::as_str)
}
