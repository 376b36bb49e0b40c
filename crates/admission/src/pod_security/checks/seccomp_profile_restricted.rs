//! System calls are filtered, and somebody says how.

use super::seccomp_profile_baseline::bad_profiles;
use super::{Check, Level, Pod, Violation, named, security, violation};

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_restricted",
    level: Level::Restricted,
    since: 19,
    overrides: Some("seccompProfile_baseline"),
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    if let Some(violation) = bad_profiles(pod) {
        return Some(violation);
    }
    let silent = pod.containers_that(|c| security(c, "seccompProfile").is_none());
    match pod.security("seccompProfile").is_some() || silent.is_empty() {
        true => None,
        false => violation(
            "seccompProfile",
            format!(
                "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
                named(&silent)
            ),
        ),
    }
}
