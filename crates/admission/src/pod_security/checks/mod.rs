//! The Pod Security Standards, a check a file, and how they are asked. Follows
//! pod-security-admission's policy/registry.go and policy/checks.go.

mod allow_privilege_escalation;
mod app_armor_profile;
mod capabilities_baseline;
mod capabilities_restricted;
mod host_namespaces;
mod host_path_volumes;
mod host_ports;
mod host_probes;
mod privileged;
mod proc_mount;
mod restricted_volumes;
mod run_as_non_root;
mod run_as_user;
mod se_linux_options;
mod seccomp_profile_baseline;
mod seccomp_profile_restricted;
mod sysctls;
#[cfg(test)]
mod tests;
mod windows_host_process;

use super::policy::{Level, Standard, Version};
use crate::pod;
use meta::Value;

/// One check.
struct Check {
    /// Upstream's name, after which checks are sorted.
    id: &'static str,
    level: Level,
    /// The minor version from which on it is made.
    since: u32,
    /// The baseline check that need not be made where this is.
    overrides: Option<&'static str>,
    check: fn(&Pod<'_>) -> Option<Violation>,
}

/// Baseline checks first, then restricted, each sorted by name.
const CHECKS: &[Check] = &[
    app_armor_profile::CHECK,
    capabilities_baseline::CHECK,
    host_namespaces::CHECK,
    host_path_volumes::CHECK,
    host_ports::CHECK,
    host_probes::CHECK,
    privileged::CHECK,
    proc_mount::CHECK,
    se_linux_options::CHECK,
    seccomp_profile_baseline::CHECK,
    sysctls::CHECK,
    windows_host_process::CHECK,
    allow_privilege_escalation::CHECK,
    capabilities_restricted::CHECK,
    restricted_volumes::CHECK,
    run_as_non_root::CHECK,
    run_as_user::CHECK,
    seccomp_profile_restricted::CHECK,
];

/// What of a pod does not meet a standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// `hostPort`
    pub(super) reason: String,
    /// `container "c" uses hostPort 80`
    detail: String,
}

/// Everything that does not meet a standard.
pub(super) fn evaluate(standard: Standard, pod: &Value) -> Vec<Violation> {
    let pod = Pod {
        object: pod,
        spec: pod.get("spec").unwrap_or(&Value::Null),
        version: standard.version,
    };
    let applies = |check: &Check| {
        check.level <= standard.level && Version::Minor(check.since) <= standard.version
    };
    let overridden = |id: &str| {
        CHECKS
            .iter()
            .any(|check| applies(check) && check.overrides == Some(id))
    };
    let checks = CHECKS
        .iter()
        .filter(|check| applies(check) && !overridden(check.id));
    checks.filter_map(|check| (check.check)(&pod)).collect()
}

/// Violations as one text: `reason (detail), reason (detail)`.
pub(super) fn details(violations: &[Violation]) -> String {
    let texts = violations.iter().map(|v| match v.detail.is_empty() {
        true => v.reason.clone(),
        false => format!("{} ({})", v.reason, v.detail),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A pod, or a template of one, under examination.
struct Pod<'a> {
    object: &'a Value,
    spec: &'a Value,
    version: Version,
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        pod::containers(self.spec)
    }

    /// The names of the containers of which something holds.
    fn containers_that(&self, mut is: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
        let bad = self.containers().filter(|c| is(c));
        bad.map(|c| c.str_at(&["name"])).collect()
    }

    /// A field of the pod's own security context.
    fn security(&self, key: &str) -> Option<&'a Value> {
        security(self.spec, key)
    }

    fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let all = self
            .object
            .at(&["metadata", "annotations"])
            .and_then(Value::as_object);
        let entries = all.into_iter().flat_map(|map| map.iter());
        entries.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    }

    /// Whether the policy's version is this or newer.
    fn is_since(&self, minor: u32) -> bool {
        self.version >= Version::Minor(minor)
    }

    /// Windows knows no Linux security (asked since 1.25).
    fn is_windows(&self) -> bool {
        self.is_since(25) && self.spec.str_at(&["os", "name"]) == "windows"
    }

    /// Root in a user namespace of its own is not root (asked since 1.35).
    fn has_own_users(&self) -> bool {
        let host_users = self.spec.get("hostUsers").and_then(Value::as_bool);
        self.is_since(35) && host_users == Some(false)
    }
}

/// A field of a security context, when something is there.
fn security<'a>(of: &'a Value, key: &str) -> Option<&'a Value> {
    of.at(&["securityContext", key]).filter(|v| !v.is_null())
}

fn violation(reason: impl Into<String>, detail: impl Into<String>) -> Option<Violation> {
    Some(Violation {
        reason: reason.into(),
        detail: detail.into(),
    })
}

fn plural<'a>(one: &'a str, several: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { several }
}

/// `"a", "b"`
fn quoted(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    format!("\"{}\"", texts.join("\", \""))
}

/// `container "a"`, `containers "a", "b"`
fn named(containers: &[&str]) -> String {
    let word = plural("container", "containers", containers.len());
    format!("{word} {}", quoted(containers))
}

/// Who set something: `pod and containers "a", "b"`; empty for nobody.
fn setters(pod: bool, containers: &[&str]) -> String {
    let mut setters = Vec::new();
    if pod {
        setters.push("pod".to_string());
    }
    if !containers.is_empty() {
        setters.push(named(containers));
    }
    setters.join(" and ")
}

/// Texts, sorted, each once.
fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
