//! Probes and hooks ask the pod itself, not any other host.

use super::{Check, Level, Pod, Violation, named, plural, quoted, set, violation};
use meta::Value;

const HANDLERS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

pub(super) const CHECK: Check = Check {
    id: "hostProbesAndHostLifecycle",
    level: Level::Baseline,
    since: 34,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let bad = set(pod.containers_that(|c| hosts(c).next().is_some()));
    if bad.is_empty() {
        return None;
    }
    let hosts = set(pod.containers().flat_map(hosts));
    violation(
        "probe or lifecycle host",
        format!(
            "{} {} {} {}",
            named(&bad),
            plural("uses", "use", bad.len()),
            plural(
                "probe or lifecycle host",
                "probe or lifecycle hosts",
                hosts.len()
            ),
            quoted(&hosts)
        ),
    )
}

fn hosts(container: &Value) -> impl Iterator<Item = &str> {
    let handlers = HANDLERS.iter().filter_map(|keys| container.at(keys));
    let hosts =
        handlers.flat_map(|h| ["httpGet", "tcpSocket"].map(|kind| h.str_at(&[kind, "host"])));
    hosts.filter(|host| !host.is_empty())
}
