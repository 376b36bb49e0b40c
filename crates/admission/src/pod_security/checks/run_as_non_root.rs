//! Containers are required not to run as root.

use super::{Check, Level, Pod, Violation, named, security, setters, violation};
use meta::Value;

const REASON: &str = "runAsNonRoot != true";

pub(super) const CHECK: Check = Check {
    id: "runAsNonRoot",
    level: Level::Restricted,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    let says = |of: &Value| security(of, "runAsNonRoot").and_then(Value::as_bool);
    let own = says(pod.spec);
    let refusing = setters(
        own == Some(false),
        &pod.containers_that(|c| says(c) == Some(false)),
    );
    if !refusing.is_empty() {
        return violation(
            REASON,
            format!("{refusing} must not set securityContext.runAsNonRoot=false"),
        );
    }
    let silent = pod.containers_that(|c| says(c).is_none());
    match own == Some(true) || silent.is_empty() {
        true => None,
        false => violation(
            REASON,
            format!(
                "pod or {} must set securityContext.runAsNonRoot=true",
                named(&silent)
            ),
        ),
    }
}
