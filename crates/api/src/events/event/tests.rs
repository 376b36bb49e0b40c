//! Cases of Event of events.k8s.io.

use super::Event;
use crate::kind::Kind;
use crate::testing::{check_update, check_valid};
use meta::{Value, value};

fn event() -> Value {
    value!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e", "namespace": "d"}, "eventTime": "2024-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "d"}, "note": "hello",
        "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal"
    })
}

#[test]
fn an_event_has_two_spellings() {
    let hub = Event.hub().expect("a hub");
    let core = hub.to_hub(event());
    assert_eq!(
        core,
        value!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": "e", "namespace": "d"}, "eventTime": "2024-01-01T00:00:00.000000Z",
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "d"}, "message": "hello",
            "reportingComponent": "c", "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal"
        })
    );
    assert_eq!(hub.from_hub(core), event());
    assert_eq!(Event.field(&event(), "regarding.name"), "p");
}

#[test]
fn the_newer_group_asks_for_more() {
    check_valid(&Event, event(), &[]);
    let mut object = event();
    object.set_at(&["type"], "Odd");
    object.set_at(&["deprecatedCount"], 2);
    object.set_at(&["series"], value!({"count": 1}));
    object.set_at(&["action"], "");
    check_valid(
        &Event,
        object,
        &[
            "action: Required value",
            "series.count: Invalid value: \"\": should be at least 2",
            "series.lastObservedTime: Required value",
            "type: Invalid value: \"\": has invalid value: Odd",
            "count: Invalid value: \"\": needs to be unset",
        ],
    );
    let mut object = event();
    object.set_at(&["reason"], "other");
    check_update(
        &Event,
        &event(),
        object,
        &["reason: Invalid value: \"other\": field is immutable"],
    );
}
