//! No process may gain more than its parent has, as by set-user-id files.

use super::{Check, Level, Pod, Violation, named, security, violation};
use meta::Value;

pub(super) const CHECK: Check = Check {
    id: "allowPrivilegeEscalation",
    level: Level::Restricted,
    since: 8,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    let says_no =
        |c: &Value| security(c, "allowPrivilegeEscalation").and_then(Value::as_bool) == Some(false);
    let bad = pod.containers_that(|c| !says_no(c));
    if bad.is_empty() {
        return None;
    }
    violation(
        "allowPrivilegeEscalation != false",
        format!(
            "{} must set securityContext.allowPrivilegeEscalation=false",
            named(&bad)
        ),
    )
}
