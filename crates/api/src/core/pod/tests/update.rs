//! What of a pod may change.

use super::{check_change, pod, pod_with};
use crate::core::pod::Pod;
use crate::kind::{Door, Kind};
use meta::{Value, value};

#[test]
fn an_update_changes_few_fields() {
    let old = pod(
        value!({"tolerations": [{"key": "a", "operator": "Exists"}], "activeDeadlineSeconds": 10}),
    );
    let mut new = old.clone();
    new.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "other"}]),
    );
    new.set_at(&["spec", "activeDeadlineSeconds"], 5);
    new.set_at(
        &["spec", "tolerations"],
        value!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]),
    );
    if let Some(container) = new
        .at_mut(&["spec", "containers"])
        .and_then(Value::as_array_mut)
    {
        container[0].set_at(&["imagePullPolicy"], "IfNotPresent");
    }
    check_change(Door::Main, &old, new.clone(), &[]);

    new.set_at(&["spec", "hostname"], "h");
    check_change(
        Door::Main,
        &old,
        new,
        &[
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n  core.PodSpec{\n+ \thostname: \"h\"\n  }\n",
        ],
    );
}

#[test]
fn an_update_neither_adds_nor_lengthens() {
    let old = pod(
        value!({"activeDeadlineSeconds": 10, "tolerations": [{"key": "a", "operator": "Exists"}]}),
    );
    let mut new = old.clone();
    new.set_at(&["spec", "activeDeadlineSeconds"], 11);
    check_change(
        Door::Main,
        &old,
        new,
        &[
            "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value",
        ],
    );
    let mut new = old.clone();
    new.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]),
    );
    check_change(
        Door::Main,
        &old,
        new,
        &["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
    let mut new = old.clone();
    new.remove_at(&["spec", "tolerations"]);
    check_change(
        Door::Main,
        &old,
        new,
        &[
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ],
    );
}

#[test]
fn gates_are_only_removed_and_selectors_only_narrowed_behind_them() {
    let old = pod(value!({"schedulingGates": [{"name": "a"}], "nodeSelector": {"x": "1"}}));
    let mut new = old.clone();
    new.remove_at(&["spec", "schedulingGates"]);
    new.set_at(&["spec", "nodeSelector"], value!({"x": "1", "y": "2"}));
    check_change(Door::Main, &old, new.clone(), &[]);
    new.set_at(&["spec", "schedulingGates"], value!([{"name": "b"}]));
    new.set_at(&["spec", "nodeSelector"], value!({"y": "2"}));
    check_change(
        Door::Main,
        &old,
        new,
        &[
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'",
            "spec.nodeSelector: Invalid value: {\"y\":\"2\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ],
    );
}

#[test]
fn status_keeps_what_is_not_the_kubelets() {
    let mut old = pod(value!({"restartPolicy": "Never"}));
    old.set_at(
        &["status"],
        value!({"qosClass": "BestEffort", "containerStatuses": [
            {"name": "c", "state": {"terminated": {"exitCode": 0}}}
        ]}),
    );
    let mut new = old.clone();
    new.set_at(
        &["status"],
        value!({"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [
            {"name": "c", "state": {"running": {}}}
        ]}),
    );
    Pod.default(&mut new);
    Pod.prepare_update(&mut new, &old, Door::Status);
    assert_eq!(new.str_at(&["status", "qosClass"]), "BestEffort");
    assert_eq!(
        new.at(&["status", "podIPs"]),
        Some(&value!([{"ip": "10.0.0.1"}]))
    );
    check_change(
        Door::Status,
        &old,
        new,
        &[
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
        ],
    );
}

#[test]
fn a_rule_of_its_own_starts_a_container_again() {
    let rules = value!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    let mut old = pod_with(value!({"restartPolicy": "Never", "restartPolicyRules": rules}));
    for (code, expected) in [
        (42, &[][..]),
        (
            1,
            &[
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
            ],
        ),
    ] {
        old.set_at(
            &["status", "containerStatuses"],
            value!([{"name": "c", "state": {"terminated": {"exitCode": code}}}]),
        );
        let mut new = old.clone();
        new.set_at(
            &["status", "containerStatuses"],
            value!([{"name": "c", "state": {"running": {}}}]),
        );
        check_change(Door::Status, &old, new, expected);
    }
}

#[test]
fn a_resize_keeps_the_class_and_all_else() {
    let resources = value!({"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}});
    let old = pod_with(value!({ "resources": resources }));
    let mut new = old.clone();
    new.set_at(&["spec", "hostname"], "ignored");
    new.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "other", "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}}]),
    );
    check_change(
        Door::Other("resize"),
        &old,
        new,
        &[
            "spec.containers[0].resources.limits[memory]: Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer",
        ],
    );
}
