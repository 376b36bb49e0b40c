//! What the double cannot show: that defaults, pruning and normal forms of the real server leave
//! nothing for controllers to correct over and over.

use crate::cluster::Cluster;
use client::{DeleteOptions, Propagation};
use serde_json::{Value, json};
use typed::api::apps::v1::Deployment;
use typed::api::core::v1::Namespace;

/// Nodes have no kubelet here.
const NO_NODES: &[&str] = &[
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "pod-garbage-collector-controller",
];

fn deployment(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}},
                              "spec": {"containers": [{"name": "c", "image": "v1", "ports": [{"name": "web", "containerPort": 80}]}]}}},
    })
}

async fn with_deployment(replicas: i32) -> Cluster {
    let cluster = Cluster::start(NO_NODES).await;
    cluster
        .create("v1", "nodes", json!({"metadata": {"name": "node"}}))
        .await;
    cluster.create("v1", "services", json!({"metadata": {"name": "web", "namespace": "a"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "web"}]}})).await;
    cluster
        .create("apps/v1", "deployments", deployment(replicas))
        .await;
    cluster.run_pods(|_| true).await;
    cluster
}

/// Controllers have nothing to write when nothing happens.
async fn assert_quiet(cluster: &Cluster) {
    cluster.pass(60).await;
    let before = cluster.revision().await;
    cluster.pass(1200).await;
    assert_eq!(
        cluster.revision().await,
        before,
        "something writes though nothing happens"
    );
}

async fn set_image(cluster: &Cluster, image: &str) {
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image, "ports": [{"name": "web", "containerPort": 80}]}]}}}});
    cluster
        .merge("apps/v1", "deployments", "a", "web", change)
        .await;
}

fn condition(deployment: &Value, kind: &str) -> String {
    let conditions = deployment["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind);
    found.map_or("none".to_owned(), |found| {
        format!(
            "{} {}",
            found["status"].as_str().unwrap(),
            found["reason"].as_str().unwrap()
        )
    })
}

/// The addresses in all slices, sorted.
async fn addresses(cluster: &Cluster) -> Vec<String> {
    let slices = cluster.list("discovery.k8s.io/v1", "endpointslices").await;
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    let mut addresses: Vec<String> = endpoints
        .map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned())
        .collect();
    addresses.sort();
    addresses
}

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_out_and_comes_to_rest() {
    let cluster = with_deployment(3).await;
    let now = cluster
        .get("apps/v1", "deployments", "a", "web")
        .await
        .unwrap();
    assert_eq!(now["status"]["availableReplicas"], 3, "{}", now["status"]);
    assert_eq!(
        condition(&now, "Progressing"),
        "True NewReplicaSetAvailable"
    );
    assert_eq!(
        now["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    assert_eq!(addresses(&cluster).await.len(), 3);
    assert_quiet(&cluster).await;

    set_image(&cluster, "v2").await;
    cluster.run_pods(|_| true).await;
    let now = cluster
        .get("apps/v1", "deployments", "a", "web")
        .await
        .unwrap();
    assert_eq!(
        condition(&now, "Progressing"),
        "True NewReplicaSetAvailable"
    );
    let sets = cluster.list("apps/v1", "replicasets").await;
    let sizes: Vec<i64> = sets
        .iter()
        .map(|set| set["spec"]["replicas"].as_i64().unwrap())
        .collect();
    assert_eq!(
        (sizes.len(), sizes.iter().sum::<i64>()),
        (2, 3),
        "{sizes:?}"
    );
    assert_eq!(addresses(&cluster).await.len(), 3);
    let endpoints = cluster.get("v1", "endpoints", "a", "web").await.unwrap();
    assert_eq!(
        endpoints["subsets"][0]["addresses"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_quiet(&cluster).await;

    set_image(&cluster, "v1").await;
    cluster.run_pods(|_| true).await;
    assert_eq!(
        cluster.list("apps/v1", "replicasets").await.len(),
        2,
        "the old set comes back"
    );
    let now = cluster
        .get("apps/v1", "deployments", "a", "web")
        .await
        .unwrap();
    assert_eq!(
        now["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    let events = cluster.list("v1", "events").await;
    assert!(
        events
            .iter()
            .any(|event| event["reason"] == "ScalingReplicaSet"),
        "{events:?}"
    );
}

async fn delete(cluster: &Cluster, propagation: Propagation) {
    let options = DeleteOptions {
        propagation: Some(propagation),
        ..Default::default()
    };
    cluster
        .client
        .api::<Deployment>()
        .namespace("a")
        .delete("web", &options)
        .await
        .unwrap();
    cluster.run_pods(|_| true).await;
}

async fn counts(cluster: &Cluster) -> [usize; 3] {
    [
        cluster.list("apps/v1", "deployments").await.len(),
        cluster.list("apps/v1", "replicasets").await.len(),
        cluster.list("v1", "pods").await.len(),
    ]
}

#[tokio::test(start_paused = true)]
async fn dependents_go_as_the_deletion_asks() {
    for (propagation, left) in [
        (Propagation::Background, [0, 0, 0]),
        (Propagation::Foreground, [0, 0, 0]),
        (Propagation::Orphan, [0, 1, 2]),
    ] {
        let cluster = with_deployment(2).await;
        delete(&cluster, propagation).await;
        assert_eq!(counts(&cluster).await, left, "{propagation:?}");
        assert_quiet(&cluster).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_everything_in_it() {
    let cluster = with_deployment(2).await;
    assert!(
        cluster
            .get("v1", "configmaps", "a", "kube-root-ca.crt")
            .await
            .is_some()
    );
    assert!(
        cluster
            .get("v1", "serviceaccounts", "a", "default")
            .await
            .is_some()
    );
    cluster
        .client
        .api::<Namespace>()
        .delete("a", &DeleteOptions::default())
        .await
        .unwrap();
    cluster.run_pods(|_| true).await;
    cluster.pass(60).await;
    assert_eq!(cluster.get("v1", "namespaces", "", "a").await, None);
    assert_eq!(counts(&cluster).await, [0, 0, 0]);
    assert!(cluster.list("v1", "endpoints").await.is_empty());
    assert!(cluster.list("v1", "configmaps").await.is_empty());
    assert_quiet(&cluster).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods_and_gets_a_range() {
    let cluster = Cluster::start(&[]).await;
    for name in ["node", "other"] {
        cluster
            .create("v1", "nodes", json!({"metadata": {"name": name}}))
            .await;
    }
    cluster
        .create("apps/v1", "deployments", deployment(1))
        .await;
    let ready = |name: &'static str| {
        let cluster = &cluster;
        async move {
            let now = stdx::format_seconds(cluster.clock.wall());
            let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "", "lastHeartbeatTime": now, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
            let nodes = cluster.client.api::<typed::api::core::v1::Node>();
            nodes
                .patch_status(name, &client::Patch::Strategic(status))
                .await
                .unwrap();
        }
    };
    ready("node").await;
    ready("other").await;
    cluster.run_pods(|_| true).await;
    let node = cluster.get("v1", "nodes", "", "node").await.unwrap();
    assert!(
        node["spec"]["podCIDR"]
            .as_str()
            .unwrap()
            .starts_with("10.42."),
        "{node}"
    );
    assert!(node["spec"].get("taints").is_none(), "{node}");
    for _ in 0..20 {
        ready("other").await;
        cluster.pass(10).await;
    }
    let node = cluster.get("v1", "nodes", "", "node").await.unwrap();
    assert_eq!(
        node["spec"]["taints"].as_array().unwrap().len(),
        2,
        "{node}"
    );
    let pods = cluster.list("v1", "pods").await;
    let ending = pods
        .iter()
        .filter(|pod| pod["metadata"].get("deletionTimestamp").is_some())
        .count();
    assert_eq!(
        (ending, pods.len()),
        (1, 2),
        "one leaves, its successor waits"
    );
}

#[tokio::test(start_paused = true)]
async fn aggregated_roles_follow_their_parts() {
    let cluster = Cluster::start(&[]).await;
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let whole = json!({
        "metadata": {"name": "whole"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-whole": "true"}}]},
        "rules": [],
    });
    cluster.create(RBAC, "clusterroles", whole).await;
    let part = json!({
        "metadata": {"name": "part", "labels": {"to-whole": "true"}},
        "rules": [{"apiGroups": ["example.com"], "resources": ["ships"], "verbs": ["get"]}],
    });
    cluster.create(RBAC, "clusterroles", part).await;
    cluster.pass(5).await;
    let whole = cluster
        .get(RBAC, "clusterroles", "", "whole")
        .await
        .expect("a role");
    assert_eq!(whole["rules"][0]["resources"], json!(["ships"]));
    assert_eq!(
        whole["metadata"]["managedFields"][0]["manager"],
        "clusterrole-aggregation-controller"
    );
}
