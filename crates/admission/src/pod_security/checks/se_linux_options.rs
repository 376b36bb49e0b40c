//! SELinux types are those for containers; users and roles are the node's.

use super::{Check, Level, Pod, Violation, plural, quoted, security, set, setters, violation};
use meta::Value;

const ALLOWED: [&str; 4] = ["", "container_t", "container_init_t", "container_kvm_t"];
/// Allowed since 1.31.
const ENGINE: &str = "container_engine_t";

pub(super) const CHECK: Check = Check {
    id: "seLinuxOptions",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let allowed = |ty: &str| ALLOWED.contains(&ty) || (ty == ENGINE && pod.is_since(31));
    let is_bad = |of: &Value| {
        let text = |key: &str| of.str_at(&["securityContext", "seLinuxOptions", key]);
        !allowed(text("type")) || !text("user").is_empty() || !text("role").is_empty()
    };
    let bad = setters(is_bad(pod.spec), &pod.containers_that(is_bad));
    if bad.is_empty() {
        return None;
    }
    let all = || std::iter::once(pod.spec).chain(pod.containers());
    let options = || all().filter_map(|of| security(of, "seLinuxOptions"));
    let types = set(options()
        .map(|o| o.str_at(&["type"]))
        .filter(|ty| !allowed(ty)));
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!(
            "{} {}",
            plural("type", "types", types.len()),
            quoted(&types)
        ));
    }
    for key in ["user", "role"] {
        if options().any(|o| !o.str_at(&[key]).is_empty()) {
            data.push(format!("{key} may not be set"));
        }
    }
    violation(
        "seLinuxOptions",
        format!(
            "{bad} set forbidden securityContext.seLinuxOptions: {}",
            data.join("; ")
        ),
    )
}
