//! The host's files stay the host's.

use super::{Check, Level, Pod, Violation, plural, quoted, violation};
use crate::pod::has;

pub(super) const CHECK: Check = Check {
    id: "hostPathVolumes",
    level: Level::Baseline,
    since: 0,
    overrides: None,
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let volumes = pod.spec.items_at(&["volumes"]).iter();
    let volumes = volumes
        .filter(|v| has(v, &["hostPath"]))
        .map(|v| v.str_at(&["name"]));
    let names: Vec<&str> = volumes.collect();
    if names.is_empty() {
        return None;
    }
    let word = plural("volume", "volumes", names.len());
    violation("hostPath volumes", format!("{word} {}", quoted(&names)))
}
