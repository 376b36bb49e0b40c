//! Namespaces: labels, status and finalizers.

use super::labelled;
use crate::cluster::Cluster;
use meta::{Value, value};

const ONE: &str = "/api/v1/namespaces/n";

async fn with_namespace() -> (Cluster, Value) {
    let cluster = Cluster::start().await;
    let object = value!({"metadata": {"name": "n"}});
    let made = cluster.post("/api/v1/namespaces", &object).await.ok();
    (cluster, made)
}

#[tokio::test]
async fn a_namespace_is_patched_and_updated() {
    let (cluster, _) = with_namespace().await;
    let mut patched = cluster
        .patch("strategic-merge", ONE, &labelled("yes"))
        .await
        .ok();
    assert_eq!(patched.str_at(&["metadata", "labels", "patched"]), "yes");
    let own = patched.str_at(&["metadata", "labels", "kubernetes.io/metadata.name"]);
    assert_eq!(own, "n");
    patched.set_at(&["metadata", "labels", "updated"], "yes");
    let updated = cluster.put(ONE, &patched).await.ok();
    assert_eq!(cluster.get(ONE).await.ok(), updated);
    assert_eq!(updated.str_at(&["metadata", "labels", "updated"]), "yes");
}

#[tokio::test]
async fn a_status_takes_conditions() {
    let (cluster, _) = with_namespace().await;
    let status = format!("{ONE}/status");
    let read = cluster.get(&status).await.ok();
    assert_eq!(read.str_at(&["status", "phase"]), "Active");
    let condition =
        |kind: &str| value!({"type": kind, "status": "True", "reason": "E2E", "message": "m"});
    let patch = value!({"metadata": {"annotations": {"p": "yes"}}, "status": {"conditions": [condition("Patched")]}});
    let mut patched = cluster.patch("merge", &status, &patch).await.ok();
    let last = |object: &Value| {
        let conditions = object.items_at(&["status", "conditions"]);
        conditions.last().map(|c| c.str_at(&["type"]).to_string())
    };
    assert_eq!(last(&patched).as_deref(), Some("Patched"));
    let both = value!([condition("Patched"), condition("Updated")]);
    patched.set_at(&["status", "conditions"], both);
    let updated = cluster.put(&status, &patched).await.ok();
    assert_eq!(last(&updated).as_deref(), Some("Updated"));
    assert_eq!(updated.str_at(&["status", "phase"]), "Active");
}

#[tokio::test]
async fn a_finalizer_is_added_and_taken_away() {
    let (cluster, mut made) = with_namespace().await;
    let both = value!(["kubernetes", "e2e.example.com/fakeFinalizer"]);
    made.set_at(&["spec", "finalizers"], both.clone());
    let finalize = format!("{ONE}/finalize");
    let mut held = cluster.put(&finalize, &made).await.ok();
    assert_eq!(held.at(&["spec", "finalizers"]), Some(&both));
    assert_eq!(held.str_at(&["status", "phase"]), "Active");
    held.set_at(&["spec", "finalizers"], value!(["kubernetes"]));
    let freed = cluster.put(&finalize, &held).await.ok();
    assert_eq!(
        freed.at(&["spec", "finalizers"]),
        Some(&value!(["kubernetes"]))
    );
    assert_eq!(cluster.get(ONE).await.ok(), freed);
}
