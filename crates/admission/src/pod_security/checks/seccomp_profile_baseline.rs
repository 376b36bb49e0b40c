//! System calls are filtered, where anybody says how.

use super::{Check, Level, Pod, Violation, plural, quoted, security, set, setters, violation};
use meta::Value;
use meta::field::quote;

const OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const REASON: &str = "seccompProfile";

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_baseline",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    match pod.is_since(19) {
        true => bad_profiles(pod),
        false => bad_annotations(pod),
    }
}

/// Who sets a profile that does not filter.
pub(super) fn bad_profiles(pod: &Pod<'_>) -> Option<Violation> {
    let bad = setters(
        bad_type(pod.spec).is_some(),
        &pod.containers_that(|c| bad_type(c).is_some()),
    );
    if bad.is_empty() {
        return None;
    }
    let all = std::iter::once(pod.spec).chain(pod.containers());
    let types = set(all.filter_map(bad_type));
    violation(
        REASON,
        format!(
            "{bad} must not set securityContext.seccompProfile.type to {}",
            quoted(&types)
        ),
    )
}

fn bad_type(of: &Value) -> Option<&str> {
    let ty = security(of, "seccompProfile")?.str_at(&["type"]);
    (!matches!(ty, "RuntimeDefault" | "Localhost")).then_some(ty)
}

/// How profiles were set before 1.19.
fn bad_annotations(pod: &Pod<'_>) -> Option<Violation> {
    let filters =
        |v: &str| matches!(v, "runtime/default" | "docker/default") || v.starts_with("localhost/");
    let names: Vec<&str> = pod.containers().map(|c| c.str_at(&["name"])).collect();
    let concerns = |key: &str| {
        key == OF_POD
            || key
                .strip_prefix(OF_CONTAINER)
                .is_some_and(|name| names.contains(&name))
    };
    let bad = pod
        .annotations()
        .filter(|(key, value)| concerns(key) && !filters(value));
    let mut bad: Vec<String> = bad
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    bad.sort();
    if bad.is_empty() {
        return None;
    }
    let word = plural("annotation", "annotations", bad.len());
    violation(REASON, format!("forbidden {word} {}", bad.join(", ")))
}
