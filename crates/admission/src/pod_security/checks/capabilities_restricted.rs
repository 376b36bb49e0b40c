//! All capabilities are dropped; only that of binding low ports may come back.

use super::capabilities_baseline::added;
use super::{Check, Level, Pod, Violation, named, quoted, set, violation};
use meta::Value;

const ALLOWED: &str = "NET_BIND_SERVICE";

pub(super) const CHECK: Check = Check {
    id: "capabilities_restricted",
    level: Level::Restricted,
    since: 22,
    overrides: Some("capabilities_baseline"),
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    let drops_all = |c: &Value| {
        let dropped = c.items_at(&["securityContext", "capabilities", "drop"]);
        dropped.iter().any(|d| d.as_str() == Some("ALL"))
    };
    let keeping = pod.containers_that(|c| !drops_all(c));
    let adding = pod.containers_that(|c| added(c).any(|a| a != ALLOWED));
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            named(&keeping)
        ));
    }
    if !adding.is_empty() {
        let capabilities = set(pod.containers().flat_map(added).filter(|a| *a != ALLOWED));
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            named(&adding),
            quoted(&capabilities)
        ));
    }
    match details.is_empty() {
        true => None,
        false => violation("unrestricted capabilities", details.join("; ")),
    }
}
