//! No container is a process of a Windows host.

use super::{Check, Level, Pod, Violation, setters, violation};
use meta::Value;

pub(super) const CHECK: Check = Check {
    id: "windowsHostProcess",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let is_host = |of: &Value| of.is_true_at(&["securityContext", "windowsOptions", "hostProcess"]);
    let bad = setters(is_host(pod.spec), &pod.containers_that(is_host));
    match bad.is_empty() {
        true => None,
        false => violation(
            "hostProcess",
            format!("{bad} must not set securityContext.windowsOptions.hostProcess=true"),
        ),
    }
}
