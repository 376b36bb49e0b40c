//! The default AppArmor profile is neither switched off nor replaced by one
//! that is not the node's.

use super::{Check, Level, Pod, Violation, named, plural, quoted, security, set, violation};
use meta::Value;

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) const CHECK: Check = Check {
    id: "appArmorProfile",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let bad_type = |of: &Value| -> Option<String> {
        let ty = security(of, "appArmorProfile")?
            .str_at(&["type"])
            .to_string();
        (!matches!(ty.as_str(), "RuntimeDefault" | "Localhost")).then_some(ty)
    };
    let (mut setters, mut types) = (Vec::new(), Vec::new());
    if let Some(ty) = bad_type(pod.spec) {
        setters.push("pod".to_string());
        types.push(ty);
    }
    let bad = pod.containers_that(|c| bad_type(c).map(|ty| types.push(ty)).is_some());
    if !bad.is_empty() {
        setters.push(named(&bad));
    }
    let annotations = bad_annotations(pod);
    if !annotations.is_empty() {
        setters.push(plural("annotation", "annotations", annotations.len()).to_string());
    }
    let mut values: Vec<&str> = set(types.iter().map(String::as_str));
    values.extend(annotations.iter().map(String::as_str));
    if setters.is_empty() {
        return None;
    }
    violation(
        plural(
            "forbidden AppArmor profile",
            "forbidden AppArmor profiles",
            values.len(),
        ),
        format!(
            "{} must not set AppArmor profile type to {}",
            setters.join(" and "),
            quoted(&values)
        ),
    )
}

fn bad_annotations(pod: &Pod<'_>) -> Vec<String> {
    let allowed = |profile: &str| {
        profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/")
    };
    let bad = pod
        .annotations()
        .filter(|(key, value)| key.starts_with(ANNOTATION) && !allowed(value));
    bad.map(|(key, value)| format!("{key}={}", meta::field::quote(value)))
        .collect()
}
