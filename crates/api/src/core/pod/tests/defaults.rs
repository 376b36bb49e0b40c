//! What a pod is when its author does not say, and what the server says of it.

use super::{check, pod, pod_with};
use crate::core::pod::{Pod, defaults};
use crate::kind::Kind;
use crate::testing::check_default;
use meta::{Errors, Field, value};

#[test]
fn a_plain_pod_is_filled_in() {
    check_default(
        &Pod,
        value!({"spec": {"containers": [{"name": "c", "image": "nginx"}]}}),
        value!({"spec": {
            "containers": [{
                "name": "c", "image": "nginx", "imagePullPolicy": "Always", "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
            }],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
            "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler",
            "enableServiceLinks": true
        }}),
    );
}

#[test]
fn what_was_said_stays() {
    let said = value!({"spec": {
        "containers": [{
            "name": "c", "image": "nginx", "imagePullPolicy": "Never",
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
            "terminationMessagePath": "/x", "terminationMessagePolicy": "FallbackToLogsOnError",
            "livenessProbe": {
                "httpGet": {"path": "/h", "port": 80, "scheme": "HTTPS"}, "timeoutSeconds": 2,
                "periodSeconds": 3, "successThreshold": 1, "failureThreshold": 4
            }
        }],
        "dnsPolicy": "Default", "restartPolicy": "Never", "securityContext": {"runAsUser": 0},
        "terminationGracePeriodSeconds": 0, "schedulerName": "mine", "enableServiceLinks": false,
        "serviceAccountName": "sa", "serviceAccount": "sa",
        "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 0}}]
    }});
    check_default(&Pod, said.clone(), said);
}

#[test]
fn an_image_volume_is_pulled_as_a_container_image_is() {
    for (reference, policy) in [
        ("models/small", "Always"),
        ("models/small:latest", "Always"),
        ("models/small:1", "IfNotPresent"),
        ("", "IfNotPresent"),
    ] {
        let mut spec = value!({"volumes": [{"name": "v", "image": {"reference": reference}}]});
        defaults::template_spec(&mut spec);
        let image = spec.items_at(&["volumes"])[0].at(&["image"]);
        let found = image.map(|image| image.str_at(&["pullPolicy"]));
        assert_eq!(found, Some(policy), "{reference}");
    }
}

#[test]
fn requests_follow_limits_in_pods_only() {
    let mut own = pod_with(value!({"resources": {"limits": {"cpu": "1"}}}));
    let resources = value!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}});
    assert_eq!(
        own.at(&["spec"])
            .map(|s| s.items_at(&["containers"])[0].get("resources").cloned()),
        Some(Some(resources))
    );
    own = value!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]});
    defaults::template_spec(&mut own);
    assert_eq!(
        own.items_at(&["containers"])[0].at(&["resources", "requests"]),
        None
    );
}

#[test]
fn volumes_and_hosts_are_filled_in() {
    let pod = pod(value!({
        "hostNetwork": true,
        "containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}],
        "volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/x"}}, {"name": "t", "projected": {
            "sources": [{"serviceAccountToken": {"path": "token"}}, {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]
        }}]
    }));
    let spec = pod.get("spec").expect("a spec");
    assert_eq!(
        spec.get("volumes"),
        Some(&value!([
            {"name": "a", "emptyDir": {}},
            {"name": "b", "hostPath": {"path": "/x", "type": ""}},
            {"name": "t", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}]}}
            ], "defaultMode": 420}}
        ]))
    );
    assert_eq!(
        spec.items_at(&["containers"])[0].get("ports"),
        Some(&value!([{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]))
    );
}

#[test]
fn a_new_pod_is_pending_and_classed() {
    let mut pod = pod_with(value!({"resources": {"requests": {"cpu": "1"}}}));
    pod.set_at(&["status"], value!({"phase": "Running"}));
    Pod.prepare_create(&mut pod);
    assert_eq!(
        pod.get("status"),
        Some(&value!({"phase": "Pending", "qosClass": "Burstable"}))
    );
}

#[test]
fn a_gated_pod_says_so() {
    let mut pod = pod(value!({"schedulingGates": [{"name": "e.com/g"}]}));
    Pod.prepare_create(&mut pod);
    assert_eq!(
        pod.items_at(&["status", "conditions"])[0].str_at(&["reason"]),
        "SchedulingGated"
    );
    pod.set_at(&["spec", "nodeName"], "n");
    check(
        pod,
        &["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    );
}

#[test]
fn own_labels_narrow_the_selectors() {
    let mut pod = pod(value!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "a"}}, "matchLabelKeys": ["hash", "gone"]
    }]}));
    pod.set_at(&["metadata", "labels"], value!({"hash": "h"}));
    Pod.prepare_create(&mut pod);
    assert_eq!(
        pod.items_at(&["spec", "topologySpreadConstraints"])[0].get("labelSelector"),
        Some(&value!({
            "matchLabels": {"app": "a"},
            "matchExpressions": [{"key": "hash", "operator": "In", "values": ["h"]}]
        }))
    );
    let mut errors = Errors::new();
    Pod.validate(&Field::root(&pod), &mut errors);
    assert!(errors.is_empty(), "{}", errors.aggregate());
}

#[test]
fn what_is_gated_off_is_dropped() {
    let mut pod = pod(value!({"volumes": [{"name": "v", "emptyDir": {"mode": 511}}]}));
    Pod.prepare_create(&mut pod);
    assert_eq!(
        pod.at(&["spec", "volumes"]),
        Some(&value!([{"name": "v", "emptyDir": {}}]))
    );
}

#[test]
fn annotations_that_mean_something_are_looked_at() {
    let mut pod = pod(value!({}));
    pod.set_at(
        &["metadata", "annotations"],
        value!({
            "controller.kubernetes.io/pod-deletion-cost": "+1",
            "kubernetes.io/config.mirror": "x",
            "container.apparmor.security.beta.kubernetes.io/c": "localhost/p"
        }),
    );
    check(
        pod,
        &[
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: Forbidden: AppArmor profile type Localhost is not supported yet",
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer",
        ],
    );
}

#[test]
fn grace_is_for_pods_that_run_somewhere() {
    let mut pod = pod(value!({}));
    assert_eq!(Pod.grace(&pod, None), Some(0));
    pod.set_at(&["spec", "nodeName"], "n");
    assert_eq!(Pod.grace(&pod, None), Some(30));
    assert_eq!(Pod.grace(&pod, Some(5)), Some(5));
    pod.set_at(&["status", "phase"], "Failed");
    assert_eq!(Pod.grace(&pod, Some(5)), Some(0));
}

#[test]
fn warnings_tell_what_is_probably_not_meant() {
    let mut pod = pod_with(value!({"env": [
        {"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}
    ]}));
    pod.set_at(&["metadata", "name"], "a.b");
    pod.set_at(
        &["spec", "nodeSelector"],
        value!({"beta.kubernetes.io/os": "linux"}),
    );
    assert_eq!(
        Pod.warnings(&pod, None),
        [
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
        ]
    );
}
