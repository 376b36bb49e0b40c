//! What /proc hides stays hidden.

use super::{Check, Level, Pod, Violation, named, quoted, security, set, violation};
use meta::Value;

pub(super) const CHECK: Check = Check {
    id: "procMount",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    let bad = pod.containers_that(|c| mount(c).is_some());
    if bad.is_empty() {
        return None;
    }
    let mounts = set(pod.containers().filter_map(mount));
    violation(
        "procMount",
        format!(
            "{} must not set securityContext.procMount to {}",
            named(&bad),
            quoted(&mounts)
        ),
    )
}

fn mount(container: &Value) -> Option<&str> {
    let mount = security(container, "procMount")?.as_str()?;
    (mount != "Default").then_some(mount)
}
