//! Pieces of text that many describers share.

use super::writer::Writer;
use jiff::Timestamp;
use meta::{LabelSelector, Value, go};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ANNOTATION_LENGTH_MAX: usize = 140;

/// `<none>` for nothing.
pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// A scalar as Go prints it; nothing for none.
pub(super) fn show(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(value) => go::print(value),
    }
}

/// `True` or `False`.
pub(super) fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A time as RFC 1123 writes it, in UTC.
pub(super) fn time(text: &str) -> String {
    match meta::time::parse(text) {
        Some(at) => at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_string(),
    }
}

/// How long ago that was.
pub(super) fn age(text: &str, now: Timestamp) -> String {
    match meta::time::parse(text) {
        Some(_) => api::print::since(text, now),
        None => "<unknown>".to_string(),
    }
}

/// The strings of a list.
pub(super) fn strings<'a>(object: &'a Value, path: &[&str]) -> Vec<&'a str> {
    let items = object.items_at(path).iter();
    items.filter_map(Value::as_str).collect()
}

/// A map of strings, one a line, values below each other.
pub(super) fn labels(w: &mut Writer, indent: &str, title: &str, map: Option<&Value>) {
    w.put(0, &format!("{indent}{title}:\t"));
    let Some(map) = map.and_then(Value::as_object).filter(|m| !m.is_empty()) else {
        return w.line(0, "<none>");
    };
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 {
            w.put(0, &format!("{indent}\t"));
        }
        w.line(0, &format!("{key}={}", value.as_str().unwrap_or_default()));
    }
}

/// Annotations but the one that apply keeps; long ones get lines of their own.
pub(super) fn annotations(w: &mut Writer, title: &str, map: Option<&Value>) {
    w.put(0, &format!("{title}:\t"));
    let entries = map.and_then(Value::as_object).into_iter();
    let shown: Vec<_> = entries
        .flat_map(|m| m.iter())
        .filter(|(key, _)| *key != LAST_APPLIED)
        .collect();
    if shown.is_empty() {
        return w.line(0, "<none>");
    }
    for (i, (key, value)) in shown.into_iter().enumerate() {
        if i > 0 {
            w.put(0, "\t");
        }
        let value = value.as_str().unwrap_or_default();
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > ANNOTATION_LENGTH_MAX || value.contains('\n') {
            w.line(0, &format!("{key}:"));
            for line in value.split('\n') {
                w.line(0, &format!("\t  {}", shorten(line)));
            }
        } else {
            w.line(0, &format!("{key}: {value}"));
        }
    }
}

fn shorten(text: &str) -> String {
    let max = ANNOTATION_LENGTH_MAX - 2;
    if text.len() <= max {
        return text.to_string();
    }
    let end = (0..=max).rev().find(|&i| text.is_char_boundary(i));
    format!("{}...", &text[..end.unwrap_or(0)])
}

/// `a=b,c=d`
pub(super) fn one_line(map: Option<&Value>) -> String {
    let entries = map.and_then(Value::as_object).into_iter();
    let pairs: Vec<String> = entries
        .flat_map(|m| m.iter())
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or_none(&pairs.join(",")).to_string()
}

/// A selector as the API writes it, `<none>` when it asks for nothing.
pub(super) fn selector(selector: Option<&Value>) -> String {
    or_none(&LabelSelector::from_object(selector).to_string()).to_string()
}

/// `Kind/name` of the owner that controls an object.
pub(super) fn controller(object: &Value) -> Option<String> {
    let owner = controller_ref(object)?;
    Some(format!(
        "{}/{}",
        owner.str_at(&["kind"]),
        owner.str_at(&["name"])
    ))
}

/// The owner that controls an object.
pub(super) fn controller_ref(object: &Value) -> Option<&Value> {
    let owners = object.items_at(&["metadata", "ownerReferences"]);
    owners
        .iter()
        .find(|owner| owner.is_true_at(&["controller"]))
}

/// A table of conditions with type, status and reason.
pub(super) fn conditions(w: &mut Writer, object: &Value) {
    let conditions = object.items_at(&["status", "conditions"]);
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(1, "Type\tStatus\tReason");
    w.line(1, "----\t------\t------");
    for c in conditions {
        let (kind, status) = (c.str_at(&["type"]), c.str_at(&["status"]));
        w.line(1, &format!("{kind} \t{status}\t{}", c.str_at(&["reason"])));
    }
}

/// A table of conditions with their times and messages.
pub(super) fn dated_conditions(w: &mut Writer, object: &Value) {
    let conditions = object.items_at(&["status", "conditions"]);
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
    w.line(1, "----\t------\t------------------\t------\t-------");
    for c in conditions {
        let at = time(c.str_at(&["lastTransitionTime"]));
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|key| c.str_at(&[key]));
        w.line(1, &format!("{kind}\t{status}\t{at}\t{reason}\t{message}"));
    }
}
