//! Measures how long a pod takes from bytes to tree and back, and prints medians.
//!
//! `cargo run --release -p codec --example transcode [WHICH]`

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use codec::protobuf;
use meta::{Value, value};
use std::hint::black_box;
use stdx::Clock;

const ROUNDS: usize = 501;
const TIMES: u32 = 50;

fn main() {
    let schema = api::schema::of("v1", "Pod").unwrap();
    let mut pod = pod();
    codec::conform(&mut pod, schema).unwrap();
    let json = pod.to_json().into_bytes();
    let message = protobuf::encode_message(&pod, schema).unwrap();
    println!(
        "a pod: {} bytes of JSON, {} bytes of protobuf",
        json.len(),
        message.len()
    );
    measure("protobuf to tree", || {
        protobuf::decode_message(black_box(&message), schema).unwrap();
    });
    measure("tree to protobuf", || {
        protobuf::encode_message(black_box(&pod), schema).unwrap();
    });
    measure("JSON to tree", || {
        codec::json::parse_value(black_box(&json)).unwrap();
    });
    measure("tree to JSON", || {
        let mut out = Vec::with_capacity(json.len());
        black_box(&pod).write_json(&mut out);
        black_box(out);
    });
    measure("a copy of the tree", || {
        black_box(black_box(&pod).clone());
    });
}

fn measure(what: &str, work: impl Fn()) {
    if std::env::args().nth(1).is_some_and(|which| which != what) {
        return;
    }
    let clock = Clock::system();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = clock.now();
            (0..TIMES).for_each(|_| work());
            clock.since(begun).as_secs_f64() * 1e6 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!(
        "{what}: {:.2} µs, at best {:.2} µs",
        rounds[ROUNDS / 2],
        rounds[0]
    );
}

/// A running pod of a Deployment, as a cluster holds thousands.
fn pod() -> Value {
    let toleration = |key: &str| {
        value!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300
        })
    };
    let condition = |kind: &str| {
        value!({
            "type": kind, "status": "True", "lastTransitionTime": "2026-07-01T10:00:00Z"
        })
    };
    value!({
        "metadata": {
            "name": "web-6d4b75cb6d-abcde", "generateName": "web-6d4b75cb6d-", "namespace": "default",
            "uid": "0d4b54e5-7c4f-4b39-8a52-0b5d6b8f0a11", "resourceVersion": "123456",
            "creationTimestamp": "2026-07-01T10:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "6d4b75cb6d", "tier": "frontend"},
            "annotations": {"example.com/checksum": "d41d8cd98f00b204e9800998ecf8427e"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4b75cb6d",
                "uid": "3b9f1c39-4d5d-4d0e-9f7e-2f6a3c1d7e22", "controller": true, "blockOwnerDeletion": true
            }],
            "managedFields": [{
                "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
                "time": "2026-07-01T10:00:00Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {
                    "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}, "f:ports": {}}
                }}}
            }]
        },
        "spec": {
            "volumes": [
                {"name": "config", "configMap": {"name": "web", "defaultMode": 420}},
                {"name": "kube-api-access-x2x7k", "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}
                ]}}
            ],
            "containers": [{
                "name": "web", "image": "registry.example.com/web:1.2.3",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "env": [
                    {"name": "MODE", "value": "production"},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
                ],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/web"},
                    {"name": "kube-api-access-x2x7k", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
                ],
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3
                },
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent"
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default", "serviceAccount": "default", "nodeName": "node-17",
            "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0,
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable")]
        },
        "status": {
            "phase": "Running", "hostIP": "192.0.2.17", "podIP": "10.42.17.5", "qosClass": "Burstable",
            "startTime": "2026-07-01T10:00:00Z", "podIPs": [{"ip": "10.42.17.5"}], "hostIPs": [{"ip": "192.0.2.17"}],
            "conditions": [condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"),
                condition("ContainersReady"), condition("PodScheduled")],
            "containerStatuses": [{
                "name": "web", "ready": true, "restartCount": 0, "started": true,
                "image": "registry.example.com/web:1.2.3",
                "imageID": "registry.example.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "containerID": "tiphys://5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                "state": {"running": {"startedAt": "2026-07-01T10:00:01Z"}}
            }]
        }
    })
}
