//! Cases of Event.

use super::Event;
use crate::kind::Kind;
use crate::testing::{check_columns, check_valid};
use meta::value;

#[test]
fn an_event_lives_where_its_object_does() {
    check_valid(
        &Event,
        value!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"}}),
        &[],
    );
    check_valid(
        &Event,
        value!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}}),
        &["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"],
    );
    check_valid(
        &Event,
        value!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"}, "eventTime": "2024-01-01T00:00:00.000000Z", "reportingComponent": "c", "reason": "r"}),
        &[
            "reportingInstance: Required value",
            "action: Required value",
        ],
    );
}

#[test]
fn columns_say_what_happened_when() {
    let old = value!({
        "metadata": {"name": "e"}, "type": "Warning", "reason": "BackOff", "message": " again\n",
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "n"}, "count": 4,
        "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:04:00Z"
    });
    let now = "2024-01-01T00:05:00Z";
    check_columns(
        &Event,
        &old,
        now,
        &[
            "60s",
            "Warning",
            "BackOff",
            "pod/p",
            "spec.containers{c}",
            "kubelet, n",
            "again",
            "5m",
            "4",
            "e",
        ],
    );
    let new = value!({
        "metadata": {"name": "e"}, "type": "Normal", "reason": "Scheduled",
        "involvedObject": {"kind": "Pod", "name": "p"}, "eventTime": "2024-01-01T00:04:30.000000Z",
        "reportingComponent": "default-scheduler", "reportingInstance": "default-scheduler-n",
        "firstTimestamp": null
    });
    check_columns(
        &Event,
        &new,
        now,
        &[
            "30s",
            "Normal",
            "Scheduled",
            "pod/p",
            "",
            "default-scheduler, default-scheduler-n",
            "",
            "30s",
            "1",
            "e",
        ],
    );
    assert_eq!(Event.field(&new, "source"), "default-scheduler");
    assert_eq!(Event.field(&old, "source"), "kubelet");
}
