//! Quotas, limit ranges, disruption budgets and priority classes.

use super::writer::Writer;
use super::{Described, text};
use meta::{Map, Value};
use std::collections::BTreeSet;

fn scope_help(scope: &str) -> Option<&'static str> {
    match scope {
        "Terminating" => Some(
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
        ),
        "NotTerminating" => Some(
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
        ),
        "BestEffort" => Some(
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
        ),
        "NotBestEffort" => Some(
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
        ),
        _ => None,
    }
}

fn scopes(quota: &Value, level: usize, bullet: &str, w: &mut Writer) {
    let mut scopes = text::strings(quota, &["spec", "scopes"]);
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    w.field(level, "Scopes", scopes.join(", "));
    for help in scopes.iter().filter_map(|scope| scope_help(scope)) {
        w.line(level, &format!("{bullet}{help}"));
    }
}

fn used_and_hard(quota: &Value, level: usize, w: &mut Writer) {
    let hard = quota.at(&["status", "hard"]).and_then(Value::as_object);
    for (name, hard) in hard.into_iter().flat_map(Map::iter) {
        let used = text::show(quota.at(&["status", "used", name]));
        let used = if used.is_empty() { "0" } else { &used };
        w.line(
            level,
            &format!("{name}\t{used}\t{}", text::show(Some(hard))),
        );
    }
}

pub(super) fn resource_quota(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    scopes(it.object, 0, " * ", w);
    w.line(0, "Resource\tUsed\tHard");
    w.line(0, "--------\t----\t----");
    used_and_hard(it.object, 0, w);
}

/// All quotas of a namespace.
pub(super) fn quotas(quotas: &[Value], w: &mut Writer) {
    if quotas.is_empty() {
        return w.line(0, "No resource quota.");
    }
    let mut sorted: Vec<&Value> = quotas.iter().collect();
    sorted.sort_by_key(|quota| quota.str_at(&["metadata", "name"]));
    w.line(0, "Resource Quotas");
    for quota in sorted {
        w.field(1, "Name", quota.str_at(&["metadata", "name"]));
        scopes(quota, 1, "* ", w);
        w.line(1, "Resource\tUsed\tHard");
        w.line(1, "--------\t---\t---");
        used_and_hard(quota, 1, w);
    }
}

const COLUMNS: &str =
    "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio";
const RULE: &str =
    "----\t--------\t---\t---\t---------------\t-------------\t-----------------------";

pub(super) fn limit_range(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    w.line(0, COLUMNS);
    w.line(0, RULE);
    limits(it.object, "", w);
}

/// All limit ranges of a namespace.
pub(super) fn limit_ranges(ranges: &[Value], w: &mut Writer) {
    if ranges.is_empty() {
        return w.line(0, "No LimitRange resource.");
    }
    w.line(0, "Resource Limits");
    w.line(0, &format!(" {COLUMNS}"));
    w.line(0, &format!(" {RULE}"));
    for range in ranges {
        limits(range, " ", w);
    }
}

fn limits(range: &Value, prefix: &str, w: &mut Writer) {
    const KEYS: [&str; 5] = [
        "min",
        "max",
        "defaultRequest",
        "default",
        "maxLimitRequestRatio",
    ];
    for item in range.items_at(&["spec", "limits"]) {
        let maps = KEYS.map(|key| item.get(key));
        let names: BTreeSet<&str> = maps
            .iter()
            .filter_map(|map| map.and_then(Value::as_object))
            .flat_map(|map| map.keys().map(|key| key.as_str()))
            .collect();
        for name in names {
            let cells = maps.map(|map| {
                let shown = text::show(map.and_then(|map| map.get(name)));
                if shown.is_empty() {
                    "-".to_string()
                } else {
                    shown
                }
            });
            let kind = item.str_at(&["type"]);
            w.line(0, &format!("{prefix}{kind}\t{name}\t{}", cells.join("\t")));
        }
    }
}

pub(super) async fn pod_disruption_budget(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    let bound = |key| text::show(it.object.at(&["spec", key]));
    let (min, max) = (bound("minAvailable"), bound("maxUnavailable"));
    if !min.is_empty() {
        w.field(0, "Min available", min);
    } else if !max.is_empty() {
        w.field(0, "Max unavailable", max);
    }
    match it.object.at(&["spec", "selector"]) {
        Some(selector) => w.field(0, "Selector", text::selector(Some(selector))),
        None => w.field(0, "Selector", "<unset>"),
    }
    w.line(0, "Status:");
    let count = |key| it.object.i64_at(&["status", key]).unwrap_or_default();
    w.field(2, "Allowed disruptions", count("disruptionsAllowed"));
    w.field(2, "Current", count("currentHealthy"));
    w.field(2, "Desired", count("desiredHealthy"));
    w.field(2, "Total", count("expectedPods"));
    it.events(w).await;
}

pub(super) async fn priority_class(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    w.field(0, "Name", it.name());
    w.field(0, "Value", object.i64_at(&["value"]).unwrap_or_default());
    w.field(0, "GlobalDefault", object.is_true_at(&["globalDefault"]));
    w.field(0, "PreemptionPolicy", object.str_at(&["preemptionPolicy"]));
    w.field(0, "Description", object.str_at(&["description"]));
    let annotations = object.at(&["metadata", "annotations"]);
    w.field(0, "Annotations", text::one_line(annotations));
    it.events(w).await;
}
