//! What `kubectl get events` prints. Follows pkg/printers/internalversion/printers.go.

use crate::kind::{Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("Last Seen", "string"),
    Column::new("Type", "string"),
    Column::new("Reason", "string"),
    Column::new("Object", "string"),
    Column::wide("Subobject", "string"),
    Column::wide("Source", "string"),
    Column::new("Message", "string"),
    Column::wide("First Seen", "string"),
    Column::wide("Count", "string"),
    Column {
        priority: 1,
        ..NAME
    },
];

pub(crate) fn cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let (first, last, count) = times(event, now);
    vec![
        last.into(),
        event.str_at(&["type"]).into(),
        event.str_at(&["reason"]).into(),
        target(event).into(),
        event.str_at(&["involvedObject", "fieldPath"]).into(),
        source(event).into(),
        event.str_at(&["message"]).trim().into(),
        first.into(),
        count.into(),
        print::name(event),
    ]
}

fn times(event: &Value, now: Timestamp) -> (String, String, i64) {
    let since = |keys: &[&str]| match event.str_at(keys) {
        "" => None,
        time => Some(print::since(time, now)),
    };
    let unknown = || "<unknown>".to_string();
    let first = since(&["firstTimestamp"])
        .or_else(|| since(&["eventTime"]))
        .unwrap_or_else(unknown);
    let last = since(&["lastTimestamp"]).unwrap_or_else(|| first.clone());
    let count = event.i64_at(&["count"]).unwrap_or_default();
    match event.get("series").filter(|s| !s.is_null()) {
        Some(series) => (
            first,
            since(&["series", "lastObservedTime"]).unwrap_or_else(unknown),
            series.i64_at(&["count"]).unwrap_or_default(),
        ),
        // An event of the newer API that happened once has no count.
        None => (first, last, count.max(1)),
    }
}

fn target(event: &Value) -> String {
    let kind = event.str_at(&["involvedObject", "kind"]).to_lowercase();
    match event.str_at(&["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Value) -> String {
    let first = |a: &[&str], b: &[&str]| match event.str_at(a) {
        "" => event.str_at(b).to_string(),
        text => text.to_string(),
    };
    let component = first(&["source", "component"], &["reportingComponent"]);
    let host = first(&["source", "host"], &["reportingInstance"]);
    match host.is_empty() {
        true => component,
        false => format!("{component}, {host}"),
    }
}
