//! What a namespace's labels ask of its pods. Follows
//! pod-security-admission's api/helpers.go.

use meta::object::Object as _;
use meta::{Errors, FieldError, Path, Value};
use std::fmt;

/// How much pods are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// As of which minor version of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Minor(u32),
    Latest,
}

/// A level as of a version: `restricted:latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Version,
}

/// What a namespace asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Pods that do not meet this are refused.
    pub(super) enforce: Standard,
    /// Of pods that do not meet this, clients are warned.
    pub(super) warn: Standard,
}

/// What is asked where no label says otherwise.
const DEFAULT: Standard = Standard {
    level: Level::Privileged,
    version: Version::Latest,
};
const PREFIX: &str = "pod-security.kubernetes.io/";

impl Policy {
    /// Whether nothing is asked at all.
    pub(super) fn asks_nothing(&self) -> bool {
        [self.enforce, self.warn]
            .iter()
            .all(|s| s.level == Level::Privileged)
    }
}

/// The policy, and what is wrong with the labels: enforcing fails closed, the
/// rest fails open.
pub(super) fn of_namespace(namespace: &Value) -> (Policy, Errors) {
    let mut errors = Errors::new();
    let mut read = |mode: &str, fallback: Level| {
        let level = label(namespace, mode).map(|text| level(text).ok_or(text));
        let name = format!("{mode}-version");
        let version = label(namespace, &name).map(|text| version(text).ok_or(text));
        if let Some(Err(text)) = level {
            let detail = "must be one of privileged, baseline, restricted";
            errors.push(wrong(mode, text, detail));
        }
        if let Some(Err(text)) = version {
            errors.push(wrong(&name, text, "must be \"latest\" or \"v1.x\""));
        }
        Standard {
            level: level.map_or(DEFAULT.level, |level| level.unwrap_or(fallback)),
            version: version.map_or(DEFAULT.version, |version| {
                version.unwrap_or(Version::Latest)
            }),
        }
    };
    let enforce = read("enforce", Level::Restricted);
    read("audit", Level::Privileged);
    let mut warn = read("warn", Level::Privileged);
    let says = |mode: &str| label(namespace, mode).is_some();
    // Who enforces and says nothing of warnings is warned of workloads whose
    // pods will be refused.
    if !says("warn") && !says("warn-version") && enforce.level > warn.level {
        warn = enforce;
    }
    (Policy { enforce, warn }, errors)
}

fn label<'a>(namespace: &'a Value, name: &str) -> Option<&'a str> {
    namespace.label(&format!("{PREFIX}{name}"))
}

fn wrong(label: &str, text: &str, detail: &str) -> FieldError {
    let path = Path::new("metadata.labels").key(&format!("{PREFIX}{label}"));
    FieldError::invalid(&path, text, detail)
}

fn level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

fn version(text: &str) -> Option<Version> {
    if text == "latest" {
        return Some(Version::Latest);
    }
    let digits = text.strip_prefix("v1.")?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    (plain && canonical)
        .then(|| digits.parse().ok().map(Version::Minor))
        .flatten()
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Version::Latest => write!(f, "{level}:latest"),
            Version::Minor(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn check(labels: &[(&str, &str)], wanted: &str) {
        let mut namespace = value!({"metadata": {"name": "ns"}});
        for (name, text) in labels {
            namespace.set_at(&["metadata", "labels", &format!("{PREFIX}{name}")], *text);
        }
        let (policy, errors) = of_namespace(&namespace);
        let mut found = format!("{} {}", policy.enforce, policy.warn);
        if !errors.is_empty() {
            found = format!("{found} {}", errors.aggregate());
        }
        assert_eq!(found, wanted, "{labels:?}");
    }

    #[test]
    fn labels_are_read_as_upstream_reads_them() {
        check(&[], "privileged:latest privileged:latest");
        check(
            &[("enforce", "baseline")],
            "baseline:latest baseline:latest",
        );
        check(
            &[("enforce", "baseline"), ("warn", "privileged")],
            "baseline:latest privileged:latest",
        );
        check(
            &[("enforce", "baseline"), ("enforce-version", "v1.22")],
            "baseline:v1.22 baseline:v1.22",
        );
        check(
            &[("warn", "restricted"), ("warn-version", "v1.0")],
            "privileged:latest restricted:v1.0",
        );
        check(
            &[
                ("enforce", "bad"),
                ("warn", "bad"),
                ("warn-version", "v1.01"),
            ],
            r#"restricted:latest privileged:latest [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "bad": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "bad": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "v1.01": must be "latest" or "v1.x"]"#,
        );
        check(
            &[("audit-version", "1.2")],
            r#"privileged:latest privileged:latest metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.2": must be "latest" or "v1.x""#,
        );
    }
}
