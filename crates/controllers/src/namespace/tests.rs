//! The end of namespaces against the API server's double.

use crate::testing::Cluster;
use client::DeleteOptions;
use serde_json::json;
use testkit::fake::Refusal;
use typed::api::core::v1::Namespace;

fn cluster() -> Cluster {
    let cluster = Cluster::start(&["namespace-controller"]);
    cluster
        .api
        .create("namespaces", json!({"metadata": {"name": "a"}}));
    cluster
        .api
        .create("namespaces", json!({"metadata": {"name": "b"}}));
    for namespace in ["a", "b"] {
        cluster.api.create(
            "configmaps",
            json!({"metadata": {"name": "m", "namespace": namespace}}),
        );
        cluster.api.create(
            "services",
            json!({"metadata": {"name": "s", "namespace": namespace}}),
        );
        cluster.api.create(
            "pods",
            json!({"metadata": {"name": "p", "namespace": namespace},
            "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 20}}),
        );
    }
    cluster
}

async fn delete(cluster: &Cluster) {
    cluster
        .api
        .client()
        .api::<Namespace>()
        .delete("a", &DeleteOptions::default())
        .await
        .unwrap();
}

fn conditions(cluster: &Cluster) -> Vec<String> {
    let namespace = cluster.api.get("namespaces", "", "a").unwrap();
    let conditions = namespace["status"]["conditions"]
        .as_array()
        .unwrap()
        .clone();
    let bad = conditions
        .iter()
        .filter(|condition| condition["status"] == "True");
    bad.map(|condition| {
        format!(
            "{}: {}",
            condition["type"].as_str().unwrap(),
            condition["message"].as_str().unwrap()
        )
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn pods_go_first_then_the_rest_then_the_namespace() {
    let cluster = cluster();
    delete(&cluster).await;
    cluster.settle().await;
    assert_eq!(
        conditions(&cluster),
        ["NamespaceContentRemaining: Some resources are remaining: pods. has 1 resource instances"]
    );
    assert!(
        cluster.api.get("configmaps", "a", "m").is_some(),
        "nothing else goes before the pods"
    );
    cluster.api.remove("pods", "a", "p");
    cluster.pass(60).await;
    assert!(cluster.api.get("namespaces", "", "a").is_none());
    assert!(cluster.api.get("configmaps", "a", "m").is_none());
    assert!(cluster.api.get("services", "a", "s").is_none());
    assert!(cluster.api.get("configmaps", "b", "m").is_some());
    assert!(cluster.api.get("namespaces", "", "b").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_told() {
    let cluster = cluster();
    cluster.api.remove("pods", "a", "p");
    cluster.api.edit("configmaps", "a", "m", |map| {
        map["metadata"]["finalizers"] = json!(["example.com/keep"])
    });
    cluster.api.react(|method, path| {
        let refused = method.as_str() == "DELETE" && path.contains("/secrets");
        refused.then(|| Refusal::new(500, "InternalError", "secrets are stuck"))
    });
    delete(&cluster).await;
    cluster.settle().await;
    assert_eq!(
        conditions(&cluster),
        [
            "NamespaceDeletionContentFailure: Failed to delete all resource types, 1 remaining: secrets are stuck",
            "NamespaceContentRemaining: Some resources are remaining: configmaps. has 1 resource instances",
            "NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances",
        ]
    );
    cluster.api.relent();
    cluster.api.edit("configmaps", "a", "m", |map| {
        map["metadata"]["finalizers"] = json!([])
    });
    cluster.pass(2000).await;
    assert!(cluster.api.get("namespaces", "", "a").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_seen_is_not_taken_for_empty() {
    let cluster = cluster();
    cluster.api.remove("pods", "a", "p");
    cluster.api.react(|_, path| {
        (path == "/apis/apps/v1").then(|| Refusal::new(503, "ServiceUnavailable", "down"))
    });
    delete(&cluster).await;
    cluster.settle().await;
    assert!(conditions(&cluster)[0].starts_with(
        "NamespaceDeletionDiscoveryFailure: Discovery failed for some groups, 1 failing: apps/v1"
    ));
    cluster.api.relent();
    cluster.pass(2000).await;
    assert!(cluster.api.get("namespaces", "", "a").is_none());
}
