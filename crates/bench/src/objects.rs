//! The objects that are created.

use crate::http2::{Connection, Request};
use crate::server::IMAGE;
use anyhow::Result;
use serde_json::{Value, json};

/// Makes a namespace in which pods may be created, and waits for nobody.
pub async fn namespace(connection: &mut Connection, name: &str) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    connection
        .call(&post("/api/v1/namespaces", &namespace))
        .await?;
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts");
    // The controller may have made it before us.
    connection.fetch(&post(&path, &account)).await?;
    Ok(())
}

/// Removes a namespace of a server that goes on after us.
pub async fn remove_namespace(connection: &mut Connection, name: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{name}");
    connection.call(&Request::delete(path)).await?;
    Ok(())
}

/// A create.
pub fn post(path: &str, object: &Value) -> Request {
    Request::post(path, object.to_string())
}

/// A ConfigMap whose JSON is of about a size.
pub fn config_map(name: &str, bytes: usize) -> Value {
    let filler = "x".repeat(bytes.saturating_sub(90));
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"value": filler},
    })
}

/// A pod as applications have them, that no scheduler places.
pub fn gated_pod(name: &str, padding: usize) -> Value {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "bench", "pod-template-hash": "5d4f8c7b9d"},
            "annotations": {"example.com/padding": "p".repeat(padding)},
        },
        "spec": {
            "schedulingGates": [{"name": "example.com/bench"}],
            "containers": [{
                "name": "main", "image": IMAGE, "command": ["sleep", "1000000"],
                "env": [{"name": "SETTING", "value": "value"}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": probe,
                "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "settings"}}],
        },
    })
}

/// A pod that asks for little and nothing runs.
pub fn small_pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"containers": [{
            "name": "main", "image": IMAGE,
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }]},
    })
}

/// A pod whose process ends when it is asked to.
pub fn obedient_pod(name: &str) -> Value {
    let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {
            "containers": [{
                "name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", script],
            }],
        },
    })
}

/// A node without a kubelet.
pub fn node(name: &str, now: &str) -> Value {
    let room = json!({"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "500Gi"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        }},
        "status": {
            "capacity": room, "allocatable": room,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
        },
    })
}

/// A node's sign of life.
pub fn lease(node: &str, now: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": node, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now},
    })
}

/// A Service inside the cluster.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
    })
}
