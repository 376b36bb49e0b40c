//! The table of an object's events.

use super::writer::Writer;
use super::{Described, Error, resource, text};
use jiff::Timestamp;
use meta::Value;

/// The events about an object; kind and uid may be empty.
pub(super) async fn search(it: &Described<'_>, kind: &str, uid: &str) -> Result<Vec<Value>, Error> {
    let (name, namespace) = (it.name(), it.namespace());
    let mut fields = Vec::new();
    if !kind.is_empty() {
        fields.push(format!("involvedObject.kind={kind}"));
    }
    fields.push(format!("involvedObject.name={name}"));
    fields.push(format!("involvedObject.namespace={namespace}"));
    if !uid.is_empty() {
        fields.push(format!("involvedObject.uid={uid}"));
    }
    let events = resource("", "v1", "events");
    let fields = fields.join(",");
    it.source.list(&events, namespace, "", &fields).await
}

/// Prints them, oldest first.
pub(super) fn print(mut events: Vec<Value>, now: Timestamp, w: &mut Writer) {
    if events.is_empty() {
        return w.line(0, "Events:\t<none>");
    }
    w.flush();
    // By the time that upstream sorts by; events of a series have none and come first.
    events.sort_by_key(|event| meta::time::parse(event.str_at(&["lastTimestamp"])));
    w.line(0, "Events:");
    w.line(1, "Type\tReason\tAge\tFrom\tMessage");
    w.line(1, "----\t------\t----\t----\t-------");
    for event in &events {
        let [kind, reason, message] = ["type", "reason", "message"].map(|key| event.str_at(&[key]));
        let mut from = event.str_at(&["source", "component"]);
        if from.is_empty() {
            from = event.str_at(&["reportingComponent"]);
        }
        let age = interval(event, now);
        let message = message.trim();
        w.line(1, &format!("{kind}\t{reason}\t{age}\t{from}\t{message}"));
    }
}

fn interval(event: &Value, now: Timestamp) -> String {
    let at = event.str_at(&["eventTime"]);
    let at = if at.is_empty() {
        event.str_at(&["firstTimestamp"])
    } else {
        at
    };
    let first = text::age(at, now);
    let series = event.get("series").filter(|s| !s.is_null());
    let (last, count) = match series {
        Some(series) => (
            series.str_at(&["lastObservedTime"]),
            series.i64_at(&["count"]),
        ),
        None => (event.str_at(&["lastTimestamp"]), event.i64_at(&["count"])),
    };
    match count.unwrap_or_default() {
        count if series.is_some() || count > 1 => {
            format!("{} (x{count} over {first})", text::age(last, now))
        }
        _ => first,
    }
}
