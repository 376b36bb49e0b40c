//! Nobody says to run as root.

use super::{Check, Level, Pod, Violation, security, setters, violation};
use meta::Value;

pub(super) const CHECK: Check = Check {
    id: "runAsUser",
    level: Level::Restricted,
    since: 23,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    let is_root = |of: &Value| security(of, "runAsUser").and_then(Value::as_i64) == Some(0);
    let bad = setters(is_root(pod.spec), &pod.containers_that(is_root));
    match bad.is_empty() {
        true => None,
        false => violation("runAsUser=0", format!("{bad} must not set runAsUser=0")),
    }
}
