//! What `kubectl get pods` prints.

use crate::core::pod::Pod;
use crate::testing::check_columns;
use meta::{Value, value};

/// Cells of a pod of two containers that was made five minutes ago.
#[track_caller]
fn check_cells(status: Value, spec: Value, expected: [&str; 3]) {
    let mut pod = value!({
        "metadata": {"name": "p", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"}
    });
    for (key, value) in spec.as_object().expect("an object").iter() {
        pod.set_at(
            &[
                if key == "deleting" {
                    "metadata"
                } else {
                    "spec"
                },
                match key.as_str() {
                    "deleting" => "deletionTimestamp",
                    key => key,
                },
            ],
            value.clone(),
        );
    }
    pod.set_at(&["status"], status);
    let [ready, status, restarts] = expected;
    check_columns(
        &Pod,
        &pod,
        "2024-01-01T00:05:00Z",
        &[
            "p", ready, status, restarts, "5m", "<none>", "n", "<none>", "<none>",
        ],
    );
}

#[test]
fn columns_say_how_a_pod_is() {
    let running =
        |ready: bool| value!({"ready": ready, "restartCount": 0, "state": {"running": {}}});
    check_cells(
        value!({"phase": "Pending"}),
        value!({}),
        ["0/2", "Pending", "0"],
    );
    check_cells(
        value!({"phase": "Running", "containerStatuses": [running(true), running(false)]}),
        value!({}),
        ["1/2", "Running", "0"],
    );
    check_cells(
        value!({"phase": "Running", "containerStatuses": [
            {"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
             "lastState": {"terminated": {"finishedAt": "2024-01-01T00:04:00Z"}}},
            running(true)
        ]}),
        value!({}),
        ["1/2", "CrashLoopBackOff", "3 (60s ago)"],
    );
    check_cells(
        value!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}
        ]}),
        value!({"initContainers": [{"name": "i"}, {"name": "j"}]}),
        ["0/2", "Init:1/2", "0"],
    );
    check_cells(
        value!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ]}),
        value!({"initContainers": [{"name": "i"}]}),
        ["0/2", "Init:CrashLoopBackOff", "2"],
    );
    check_cells(
        value!({"phase": "Running",
            "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "state": {"running": {}}}],
            "containerStatuses": [running(true), running(true)]}),
        value!({"initContainers": [{"name": "s", "restartPolicy": "Always"}]}),
        ["3/3", "Running", "0"],
    );
    check_cells(
        value!({"phase": "Succeeded", "containerStatuses": [
            {"state": {"terminated": {"reason": "Completed"}}}, {"state": {"terminated": {"exitCode": 1}}}
        ]}),
        value!({}),
        ["0/2", "Completed", "0"],
    );
    check_cells(
        value!({"phase": "Running", "containerStatuses": [
            {"state": {"terminated": {"reason": "Completed"}}}, running(true)
        ]}),
        value!({}),
        ["1/2", "NotReady", "0"],
    );
    check_cells(
        value!({"phase": "Running", "containerStatuses": [running(true), running(true)]}),
        value!({"deleting": "2024-01-01T00:04:00Z"}),
        ["2/2", "Terminating", "0"],
    );
    check_cells(
        value!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
        value!({}),
        ["0/2", "SchedulingGated", "0"],
    );
    check_cells(
        value!({"phase": "Failed", "reason": "Evicted"}),
        value!({}),
        ["0/2", "Evicted", "0"],
    );
}
