//! Nodes as objects.

use super::{count, labelled};
use crate::cluster::Cluster;
use meta::value;

#[tokio::test]
async fn a_node_lives() {
    let cluster = Cluster::start().await;
    let all = "/api/v1/nodes";
    let object = value!({
        "metadata": {"name": "fake"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "m"}]}
    });
    let made = cluster.post(all, &object).await.ok();
    let one = format!("{all}/fake");
    assert_eq!(cluster.get(&one).await.ok(), made);
    let mut patched = cluster
        .patch("strategic-merge", &one, &labelled("yes"))
        .await
        .ok();
    assert_eq!(patched.str_at(&["metadata", "labels", "patched"]), "yes");
    assert_eq!(
        count(&cluster, "/api/v1/nodes?labelSelector=patched%3Dyes").await,
        1
    );
    patched.set_at(&["metadata", "labels", "patched"], "updated");
    let updated = cluster.put(&one, &patched).await.ok();
    assert_eq!(
        updated.str_at(&["metadata", "labels", "patched"]),
        "updated"
    );

    let status = format!("{one}/status");
    let patch = value!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "E2E", "message": "m"}]}});
    let mut patched = cluster.patch("strategic-merge", &status, &patch).await.ok();
    let condition = &patched.items_at(&["status", "conditions"])[0];
    assert_eq!(condition.str_at(&["reason"]), "E2E");
    let ready = value!([{"type": "Ready", "status": "True", "reason": "Updated", "message": "m"}]);
    patched.set_at(&["status", "conditions"], ready);
    let updated = cluster.put(&status, &patched).await.ok();
    let condition = &updated.items_at(&["status", "conditions"])[0];
    assert_eq!(condition.str_at(&["reason"]), "Updated");

    let chosen = format!("{all}?labelSelector=patched%3Dupdated");
    assert_eq!(cluster.delete(&chosen).await.code, 200);
    assert_eq!(count(&cluster, all).await, 0);
}
