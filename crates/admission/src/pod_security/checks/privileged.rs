//! No container is privileged.

use super::{Check, Level, Pod, Violation, named, violation};

pub(super) const CHECK: Check = Check {
    id: "privileged",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.containers_that(|c| c.is_true_at(&["securityContext", "privileged"]));
    match bad.is_empty() {
        true => None,
        false => violation(
            "privileged",
            format!(
                "{} must not set securityContext.privileged=true",
                named(&bad)
            ),
        ),
    }
}
