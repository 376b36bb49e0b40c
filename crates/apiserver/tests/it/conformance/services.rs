//! Services and endpoints as objects.

use super::{count, until, watch_from_now};
use crate::cluster::Cluster;
use meta::{Value, value};

const SERVICES: &str = "/api/v1/namespaces/ns/services";

fn service(name: &str) -> Value {
    value!({
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    })
}

#[tokio::test]
async fn a_status_lives() {
    let cluster = Cluster::start().await;
    let mut told = watch_from_now(&cluster, SERVICES).await;
    let mut object = service("s");
    object.set_at(&["spec", "type"], "LoadBalancer");
    cluster.post(SERVICES, &object).await.ok();
    until(&mut told, "ADDED").await;
    let status = format!("{SERVICES}/s/status");
    let read = cluster.get(&status).await.ok();
    assert_eq!(
        read.items_at(&["status", "loadBalancer", "ingress"]).len(),
        0
    );
    let patch = value!({
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    });
    let mut patched = cluster.patch("merge", &status, &patch).await.ok();
    let ingress = patched.items_at(&["status", "loadBalancer", "ingress"]);
    assert_eq!(ingress[0].str_at(&["ip"]), "203.0.113.1");
    let note = patched.str_at(&["metadata", "annotations", "patchedstatus"]);
    assert_eq!(note, "true");
    assert_eq!(until(&mut told, "MODIFIED").await, patched);
    let condition = |kind: &str| value!({"type": kind, "status": "True", "reason": "E2E", "message": "Set from a test", "lastTransitionTime": "2024-01-01T00:00:00Z"});
    patched.set_at(
        &["status", "conditions"],
        value!([condition("StatusUpdate")]),
    );
    let updated = cluster.put(&status, &patched).await.ok();
    let conditions = updated.items_at(&["status", "conditions"]);
    assert_eq!(conditions[0].str_at(&["type"]), "StatusUpdate");
    let one = format!("{SERVICES}/s");
    let label = value!({"metadata": {"labels": {"test": "patched"}}});
    let patched = cluster.patch("strategic-merge", &one, &label).await.ok();
    assert_eq!(patched.str_at(&["metadata", "labels", "test"]), "patched");
    assert_eq!(cluster.delete(&one).await.code, 200);
    until(&mut told, "DELETED").await;
}

#[tokio::test]
async fn services_are_deleted_together() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c"] {
        cluster.post(SERVICES, &service(name)).await.ok();
    }
    let mut other = service("other");
    other.set_at(&["metadata", "labels", "test"], "no");
    cluster.post(SERVICES, &other).await.ok();
    let chosen = format!("{SERVICES}?labelSelector=test%3Dyes");
    assert_eq!(count(&cluster, &chosen).await, 3);
    assert_eq!(cluster.delete(&chosen).await.code, 200);
    assert_eq!(count(&cluster, SERVICES).await, 1);
}

#[tokio::test]
async fn a_service_is_found_among_all() {
    let cluster = Cluster::start().await;
    let elsewhere = "/api/v1/namespaces/elsewhere/services";
    cluster.post(elsewhere, &service("far")).await.ok();
    cluster.post(SERVICES, &service("near")).await.ok();
    let all = cluster.get("/api/v1/services").await.ok();
    let found: Vec<(&str, &str)> = all
        .items_at(&["items"])
        .iter()
        .map(|s| {
            let meta = |key| s.str_at(&["metadata", key]);
            (meta("namespace"), meta("name"))
        })
        .collect();
    assert_eq!(found, [("elsewhere", "far"), ("ns", "near")]);
}
