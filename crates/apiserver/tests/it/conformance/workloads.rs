//! Deployments, replica sets and replication controllers as objects: scale,
//! status, replacing, and deletion together. What becomes of their pods is the
//! controllers' matter.

use super::{count, template, until, watch_from_now};
use crate::cluster::Cluster;
use meta::{Value, value};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/ns/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/ns/replicasets";
const CONTROLLERS: &str = "/api/v1/namespaces/ns/replicationcontrollers";

fn object(all: &str, name: &str) -> Value {
    let selector = match all {
        CONTROLLERS => value!({"a": "b"}),
        _ => value!({"matchLabels": {"a": "b"}}),
    };
    value!({
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "spec": {"replicas": 1, "selector": selector, "template": template()}
    })
}

#[tokio::test]
async fn scales_are_read_and_written() {
    for all in [DEPLOYMENTS, SETS, CONTROLLERS] {
        let cluster = Cluster::start().await;
        cluster.post(all, &object(all, "w")).await.ok();
        let one = format!("{all}/w");
        let url = format!("{one}/scale");
        let mut scale = cluster.get(&url).await.ok();
        assert_eq!(scale.str_at(&["kind"]), "Scale");
        assert_eq!(scale.str_at(&["apiVersion"]), "autoscaling/v1");
        assert_eq!(scale.i64_at(&["spec", "replicas"]), Some(1));
        assert_eq!(scale.str_at(&["status", "selector"]), "a=b");
        scale.set_at(&["metadata", "resourceVersion"], "");
        scale.set_at(&["spec", "replicas"], 2);
        let scaled = cluster.put(&url, &scale).await.ok();
        assert_eq!(scaled.i64_at(&["spec", "replicas"]), Some(2));
        let read = cluster.get(&one).await.ok();
        assert_eq!(read.i64_at(&["spec", "replicas"]), Some(2));
        let patch = value!({"spec": {"replicas": 4}});
        let patched = cluster.patch("merge", &url, &patch).await.ok();
        assert_eq!(patched.str_at(&["kind"]), "Scale");
        assert_eq!(patched.i64_at(&["spec", "replicas"]), Some(4));
        let read = cluster.get(&one).await.ok();
        assert_eq!(read.i64_at(&["spec", "replicas"]), Some(4));
    }
}

#[tokio::test]
async fn statuses_are_written_and_watched() {
    let condition = |kind: &str| value!({"type": kind, "status": "True", "reason": "E2E", "message": "Set from a test"});
    for all in [DEPLOYMENTS, SETS, CONTROLLERS] {
        let cluster = Cluster::start().await;
        cluster.post(all, &object(all, "w")).await.ok();
        let mut told = watch_from_now(&cluster, all).await;
        let status = format!("{all}/w/status");
        let mut read = cluster.get(&status).await.ok();
        read.set_at(
            &["status", "conditions"],
            value!([condition("StatusUpdate")]),
        );
        read.set_at(&["spec", "replicas"], 9);
        let updated = cluster.put(&status, &read).await.ok();
        let first = |object: &Value| object.items_at(&["status", "conditions"])[0].clone();
        assert_eq!(first(&updated).str_at(&["type"]), "StatusUpdate");
        assert_eq!(updated.i64_at(&["spec", "replicas"]), Some(1));
        assert_eq!(until(&mut told, "MODIFIED").await, updated);
        let patch = value!({"status": {"conditions": [condition("StatusPatched")]}});
        let patched = cluster.patch("merge", &status, &patch).await.ok();
        assert_eq!(first(&patched).str_at(&["type"]), "StatusPatched");
        assert_eq!(until(&mut told, "MODIFIED").await, patched);
    }
}

#[tokio::test]
async fn they_are_listed_and_deleted_together() {
    for all in [DEPLOYMENTS, SETS, CONTROLLERS] {
        let cluster = Cluster::start().await;
        for name in ["one", "two", "three"] {
            cluster.post(all, &object(all, name)).await.ok();
        }
        let everywhere = all.replace("namespaces/ns/", "");
        let chosen = "labelSelector=test%3Dyes";
        assert_eq!(count(&cluster, &format!("{everywhere}?{chosen}")).await, 3);
        let url = format!("{all}?{chosen}&propagationPolicy=Background");
        assert_eq!(cluster.delete(&url).await.code, 200);
        assert_eq!(count(&cluster, all).await, 0);
    }
}

#[tokio::test]
async fn they_are_replaced_and_patched() {
    for all in [DEPLOYMENTS, SETS, CONTROLLERS] {
        let cluster = Cluster::start().await;
        let mut told = watch_from_now(&cluster, all).await;
        let mut made = cluster.post(all, &object(all, "w")).await.ok();
        assert_eq!(until(&mut told, "ADDED").await, made);
        let one = format!("{all}/w");
        made.set_at(&["metadata", "labels", "test"], "updated");
        made.set_at(&["spec", "replicas"], 2);
        let replaced = cluster.put(&one, &made).await.ok();
        assert_eq!(replaced.i64_at(&["metadata", "generation"]), Some(2));
        assert_eq!(until(&mut told, "MODIFIED").await, replaced);
        let patch = value!({
            "metadata": {"labels": {"test": "patched"}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}
        });
        let patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
        assert_eq!(patched.str_at(&["metadata", "labels", "test"]), "patched");
        assert_eq!(patched.i64_at(&["spec", "replicas"]), Some(3));
        let container = &patched.items_at(&["spec", "template", "spec", "containers"])[0];
        assert_eq!(container.str_at(&["image"]), "i:2");
        assert_eq!(until(&mut told, "MODIFIED").await, patched);
        let url = format!("{one}?propagationPolicy=Background");
        assert_eq!(cluster.delete(&url).await.code, 200);
        until(&mut told, "DELETED").await;
    }
}
