//! Pods as objects: status, generation, class of service, deadlines, what is refused.

use super::{count, labelled, until, watch_from_now};
use crate::cluster::Cluster;
use meta::{Value, value};

const PODS: &str = "/api/v1/namespaces/ns/pods";

fn pod(name: &str) -> Value {
    value!({
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "i:1"}]}
    })
}

#[tokio::test]
async fn pods_and_their_status_live() {
    let cluster = Cluster::start().await;
    let mut told = watch_from_now(&cluster, PODS).await;
    let made = cluster.post(PODS, &pod("p")).await.ok();
    assert_eq!(until(&mut told, "ADDED").await, made);
    let (one, status) = (format!("{PODS}/p"), format!("{PODS}/p/status"));
    let patch = value!({
        "metadata": {"labels": {"patched": "yes"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "i:2"}]}
    });
    let patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
    let image = patched.items_at(&["spec", "containers"])[0].str_at(&["image"]);
    assert_eq!(image, "i:2");
    assert_eq!(until(&mut told, "MODIFIED").await, patched);
    let mut read = cluster.get(&status).await.ok();
    assert_eq!(read.str_at(&["status", "phase"]), "Pending");
    let not_ready = value!([{"type": "Ready", "status": "False"}]);
    read.set_at(&["status", "conditions"], not_ready);
    let updated = cluster.put(&status, &read).await.ok();
    let condition = &updated.items_at(&["status", "conditions"])[0];
    assert_eq!(condition.str_at(&["status"]), "False");
    let chosen = "/api/v1/pods?labelSelector=patched%3Dyes";
    assert_eq!(count(&cluster, chosen).await, 1);
    assert_eq!(cluster.delete(&one).await.code, 200);
    until(&mut told, "DELETED").await;
    assert_eq!(cluster.get(&one).await.code, 404);
}

#[tokio::test]
async fn a_status_is_patched() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, &pod("p")).await.ok();
    let status = format!("{PODS}/p/status");
    let patch = value!({
        "metadata": {"annotations": {"patchstatus": "true"}},
        "status": {"message": "Patched", "reason": "E2E"}
    });
    cluster.patch("merge", &status, &patch).await.ok();
    let read = cluster.get(&status).await.ok();
    assert_eq!(read.str_at(&["status", "message"]), "Patched");
    assert_eq!(read.str_at(&["status", "reason"]), "E2E");
    let note = read.str_at(&["metadata", "annotations", "patchstatus"]);
    assert_eq!(note, "true");
}

#[tokio::test]
async fn pods_are_deleted_together() {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c"] {
        cluster.post(PODS, &pod(name)).await.ok();
    }
    let chosen = format!("{PODS}?labelSelector=test%3Dyes");
    assert_eq!(count(&cluster, &chosen).await, 3);
    assert_eq!(cluster.delete(&chosen).await.code, 200);
    assert_eq!(count(&cluster, &chosen).await, 0);
}

#[tokio::test]
async fn the_class_of_service_is_set() {
    let cluster = Cluster::start().await;
    let mut guaranteed = pod("g");
    let amount = || value!({"cpu": "100m", "memory": "100Mi"});
    guaranteed.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "i", "resources": {"requests": amount(), "limits": amount()}}]),
    );
    cluster.post(PODS, &guaranteed).await.ok();
    let read = cluster.get(&format!("{PODS}/g")).await.ok();
    assert_eq!(read.str_at(&["status", "qosClass"]), "Guaranteed");
}

#[tokio::test]
async fn a_deadline_comes_nearer_only() {
    let cluster = Cluster::start().await;
    let made = cluster.post(PODS, &pod("p")).await.ok();
    let one = format!("{PODS}/p");
    let mut update = made;
    update.set_at(&["spec", "activeDeadlineSeconds"], 30);
    let mut update = cluster.put(&one, &update).await.ok();
    update.set_at(&["spec", "activeDeadlineSeconds"], 5);
    let updated = cluster.put(&one, &update).await.ok();
    assert_eq!(updated.i64_at(&["spec", "activeDeadlineSeconds"]), Some(5));
    let later = value!({"spec": {"activeDeadlineSeconds": 6}});
    assert_eq!(cluster.patch("merge", &one, &later).await.code, 422);
}

fn generation(object: &Value) -> Option<i64> {
    object.i64_at(&["metadata", "generation"])
}

#[tokio::test]
async fn a_generation_counts_changes_of_the_spec() {
    let cluster = Cluster::start().await;
    let made = cluster.post(PODS, &pod("p")).await.ok();
    assert_eq!(generation(&made), Some(1));
    let one = format!("{PODS}/p");
    for (patch, expected) in [
        (
            value!({"spec": {"containers": [{"name": "c", "image": "i:2"}]}}),
            2,
        ),
        (labelled("yes"), 2),
        (value!({"metadata": {"annotations": {"a": "b"}}}), 2),
        (value!({"spec": {"activeDeadlineSeconds": 500}}), 3),
        (
            value!({"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}}),
            4,
        ),
        (value!({"metadata": {"generation": 70}}), 4),
    ] {
        let patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
        assert_eq!(generation(&patched), Some(expected), "{patch}");
    }
    let status = value!({"status": {"reason": "E2E"}});
    let patched = cluster
        .patch("merge", &format!("{one}/status"), &status)
        .await;
    assert_eq!(generation(&patched.ok()), Some(4));
}

#[tokio::test]
async fn a_generation_is_not_chosen_and_counts_the_farewell() {
    let cluster = Cluster::start().await;
    let mut chosen = pod("p");
    chosen.set_at(&["metadata", "generation"], 100);
    chosen.set_at(&["spec", "nodeName"], "n");
    let made = cluster.post(PODS, &chosen).await.ok();
    assert_eq!(generation(&made), Some(1));
    let going = cluster.delete(&format!("{PODS}/p")).await.ok();
    assert!(!going.str_at(&["metadata", "deletionTimestamp"]).is_empty());
    assert_eq!(generation(&going), Some(2));
}

#[tokio::test]
async fn parameters_of_the_kernel_are_checked() {
    let cluster = Cluster::start().await;
    let mut odd = pod("p");
    let sysctl = |name: &str| value!({"name": name, "value": "1"});
    odd.set_at(
        &["spec", "securityContext", "sysctls"],
        value!([
            sysctl("foo-"),
            sysctl("kernel.shmmax"),
            sysctl("safe-and-unsafe"),
            sysctl("bar..")
        ]),
    );
    let refused = cluster.post(PODS, &odd).await.failure();
    assert!(refused.starts_with("422 Invalid: "), "{refused}");
    for name in ["foo-", "bar.."] {
        let words = format!("Invalid value: \"{name}\"");
        assert!(refused.contains(&words), "{refused}");
    }
    for name in ["safe-and-unsafe", "kernel.shmmax"] {
        let words = format!("Invalid value: \"{name}\"");
        assert!(!refused.contains(&words), "{refused}");
    }
}
