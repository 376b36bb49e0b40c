//! No container takes a port of the host.

use super::{Check, Level, Pod, Violation, named, plural, set, violation};
use meta::Value;

pub(super) const CHECK: Check = Check {
    id: "hostPorts",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.containers_that(|c| ports(c).next().is_some());
    if bad.is_empty() {
        return None;
    }
    let ports: Vec<String> = pod
        .containers()
        .flat_map(ports)
        .map(|p| p.to_string())
        .collect();
    let ports = set(ports.iter().map(String::as_str));
    violation(
        "hostPort",
        format!(
            "{} {} {} {}",
            named(&bad),
            plural("uses", "use", bad.len()),
            plural("hostPort", "hostPorts", ports.len()),
            ports.join(", ")
        ),
    )
}

fn ports(container: &Value) -> impl Iterator<Item = i64> {
    let ports = container.items_at(&["ports"]).iter();
    ports
        .filter_map(|port| port.i64_at(&["hostPort"]))
        .filter(|port| *port != 0)
}
