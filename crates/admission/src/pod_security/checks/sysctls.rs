//! Kernel settings are those that touch nobody else.

use super::{Check, Level, Pod, Violation, violation};

/// What may be set, and since which version it may.
const ALLOWED: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.tcp_wmem", 32),
];

pub(super) const CHECK: Check = Check {
    id: "sysctls",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let allowed = |name: &str| {
        ALLOWED
            .iter()
            .any(|(n, since)| *n == name && pod.is_since(*since))
    };
    let sysctls = pod.spec.items_at(&["securityContext", "sysctls"]).iter();
    let names = sysctls
        .map(|s| s.str_at(&["name"]))
        .filter(|name| !allowed(name));
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => None,
        false => violation("forbidden sysctls", names.join(", ")),
    }
}
