//! Owners and dependents against the API server's double.

use crate::testing::Cluster;
use client::{DeleteOptions, Propagation};
use serde_json::{Value, json};
use typed::api::core::v1::ConfigMap;

/// Creates a ConfigMap with owners, by name.
fn create(cluster: &Cluster, name: &str, owners: &[&str]) {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| reference(cluster, owner))
        .collect();
    cluster.api.create(
        "configmaps",
        json!({"metadata": {"name": name, "namespace": "a", "ownerReferences": references}}),
    );
}

fn reference(cluster: &Cluster, owner: &str) -> Value {
    let uid = cluster
        .api
        .get("configmaps", "a", owner)
        .map(|owner| owner["metadata"]["uid"].clone());
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid.unwrap_or(json!("nobody")), "blockOwnerDeletion": true})
}

async fn delete(cluster: &Cluster, name: &str, propagation: Propagation) {
    let options = DeleteOptions {
        propagation: Some(propagation),
        ..Default::default()
    };
    cluster
        .api
        .client()
        .api::<ConfigMap>()
        .namespace("a")
        .delete(name, &options)
        .await
        .unwrap();
    cluster.settle().await;
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster
        .api
        .list("configmaps")
        .iter()
        .map(|map| map["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn family() -> Cluster {
    let cluster = Cluster::start(&["garbage-collector-controller"]);
    create(&cluster, "root", &[]);
    create(&cluster, "child", &["root"]);
    create(&cluster, "grandchild", &["child"]);
    cluster.settle().await;
    assert_eq!(names(&cluster).len(), 3);
    cluster
}

#[tokio::test(start_paused = true)]
async fn background_takes_the_descendants_afterwards() {
    let cluster = family().await;
    delete(&cluster, "root", Propagation::Background).await;
    assert_eq!(names(&cluster), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn foreground_takes_the_descendants_before() {
    let cluster = family().await;
    cluster.api.edit("configmaps", "a", "grandchild", |map| {
        map["metadata"]["finalizers"] = json!(["example.com/wait"])
    });
    delete(&cluster, "root", Propagation::Foreground).await;
    assert_eq!(
        names(&cluster),
        ["child", "grandchild", "root"],
        "all wait for the last"
    );
    cluster.api.edit("configmaps", "a", "grandchild", |map| {
        map["metadata"]["finalizers"] = json!([])
    });
    cluster.settle().await;
    assert_eq!(names(&cluster), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_without_their_owner() {
    let cluster = family().await;
    delete(&cluster, "root", Propagation::Orphan).await;
    assert_eq!(names(&cluster), ["child", "grandchild"]);
    assert_eq!(
        cluster.api.get("configmaps", "a", "child").unwrap()["metadata"]["ownerReferences"],
        json!([])
    );
}

#[tokio::test(start_paused = true)]
async fn one_owner_is_enough_to_stay() {
    let cluster = Cluster::start(&["garbage-collector-controller"]);
    create(&cluster, "one", &[]);
    create(&cluster, "two", &[]);
    create(&cluster, "shared", &["one", "two"]);
    cluster.settle().await;
    delete(&cluster, "one", Propagation::Background).await;
    assert_eq!(names(&cluster), ["shared", "two"]);
    let owners =
        cluster.api.get("configmaps", "a", "shared").unwrap()["metadata"]["ownerReferences"]
            .clone();
    assert_eq!(owners.as_array().unwrap().len(), 1);
    delete(&cluster, "two", Propagation::Background).await;
    assert_eq!(names(&cluster), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn owners_that_never_were_are_no_owners() {
    let cluster = Cluster::start(&["garbage-collector-controller"]);
    create(&cluster, "stray", &["nobody"]);
    cluster.settle().await;
    assert_eq!(names(&cluster), Vec::<String>::new());
    let unknown = json!({"apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": "u"});
    cluster.api.create(
        "configmaps",
        json!({"metadata": {"name": "kept", "namespace": "a", "ownerReferences": [unknown]}}),
    );
    cluster.pass(100).await;
    assert_eq!(
        names(&cluster),
        ["kept"],
        "an owner of a kind that is not served may exist"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reused_name_is_another_owner() {
    let cluster = family().await;
    cluster.api.remove("configmaps", "a", "root");
    create(&cluster, "root", &[]);
    cluster.settle().await;
    assert_eq!(names(&cluster), ["root"]);
}

#[tokio::test(start_paused = true)]
async fn circles_end() {
    let cluster = family().await;
    let back = reference(&cluster, "grandchild");
    cluster.api.edit("configmaps", "a", "child", |map| {
        let owners = map["metadata"]["ownerReferences"].as_array_mut().unwrap();
        owners.push(back);
    });
    cluster.settle().await;
    delete(&cluster, "child", Propagation::Foreground).await;
    cluster.pass(100).await;
    assert_eq!(names(&cluster), ["root"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_when_nothing_happens() {
    let cluster = family().await;
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
}
