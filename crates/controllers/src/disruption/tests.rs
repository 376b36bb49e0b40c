//! Budgets over a deployment, by share and by number.

use crate::testing::Cluster;
use serde_json::{Value, json};

fn budget(cluster: &Cluster, spec: Value) {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "a"}});
    let object = json!({"metadata": {"name": "b", "namespace": "a"}, "spec": spec});
    cluster.api.create("poddisruptionbudgets", object);
}

fn set(cluster: &Cluster, replicas: i64) {
    let set = json!({
        "metadata": {"name": "s", "namespace": "a", "uid": "s"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}},
    });
    cluster.api.create("replicasets", set);
}

fn pod(cluster: &Cluster, name: &str, ready: &str) {
    let set = cluster.api.get("replicasets", "a", "s");
    let uid = set.map(|set| set["metadata"]["uid"].clone());
    let owners = uid.map(|uid| {
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": uid, "controller": true}])
    });
    let pod = json!({
        "metadata": {"name": name, "namespace": "a", "labels": {"app": "a"}, "ownerReferences": owners},
        "spec": {"containers": []},
    });
    cluster.api.create("pods", pod);
    cluster.api.edit("pods", "a", name, |pod| {
        pod["status"] =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]});
    });
}

/// Allowed, healthy, desired, expected, and the condition's reason.
fn status(cluster: &Cluster) -> (i64, i64, i64, i64, String) {
    let budget = cluster.api.get("poddisruptionbudgets", "a", "b").unwrap();
    let count = |key: &str| budget["status"][key].as_i64().unwrap_or(-1);
    let reason = budget["status"]["conditions"][0]["reason"].as_str();
    (
        count("disruptionsAllowed"),
        count("currentHealthy"),
        count("desiredHealthy"),
        count("expectedPods"),
        reason.unwrap_or_default().to_owned(),
    )
}

#[tokio::test(start_paused = true)]
async fn shares_are_of_what_should_be_there() {
    let cluster = Cluster::start(&["disruption-controller"]);
    set(&cluster, 4);
    for name in ["p", "q", "r"] {
        pod(&cluster, name, "True");
    }
    pod(&cluster, "broken", "False");
    budget(&cluster, json!({"minAvailable": "50%"}));
    cluster.settle().await;
    assert_eq!(status(&cluster), (1, 3, 2, 4, "SufficientPods".into()));
    pod(&cluster, "spare", "True");
    cluster.settle().await;
    assert_eq!(status(&cluster), (2, 4, 2, 4, "SufficientPods".into()));
    for name in ["p", "q", "r"] {
        cluster.api.remove("pods", "a", name);
    }
    cluster.settle().await;
    assert_eq!(status(&cluster), (0, 1, 2, 4, "InsufficientPods".into()));
}

#[tokio::test(start_paused = true)]
async fn pods_that_were_let_go_do_not_count_until_they_should_be_gone() {
    let cluster = Cluster::start(&["disruption-controller"]);
    set(&cluster, 3);
    for name in ["p", "q", "r"] {
        pod(&cluster, name, "True");
    }
    budget(&cluster, json!({"maxUnavailable": 1}));
    cluster.settle().await;
    assert_eq!(status(&cluster), (1, 3, 2, 3, "SufficientPods".into()));
    let now = stdx::format_seconds(cluster.clock.wall());
    cluster
        .api
        .edit("poddisruptionbudgets", "a", "b", |budget| {
            budget["status"]["disruptionsAllowed"] = json!(0);
            budget["status"]["disruptedPods"] = json!({"p": now});
        });
    cluster.settle().await;
    assert_eq!(status(&cluster), (0, 2, 2, 3, "InsufficientPods".into()));
    cluster.pass(150).await;
    assert_eq!(status(&cluster), (1, 3, 2, 3, "SufficientPods".into()));
    let events = cluster.events();
    let text = "NotDeleted: Pod was expected by PDB a/b to be deleted but it wasn't";
    assert!(events.iter().any(|event| event == text), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn numbers_are_of_the_pods_that_are_there() {
    let cluster = Cluster::start(&["disruption-controller"]);
    budget(&cluster, json!({"minAvailable": 1}));
    cluster.settle().await;
    assert_eq!(status(&cluster), (0, 0, 1, 0, "InsufficientPods".into()));
    pod(&cluster, "p", "True");
    pod(&cluster, "q", "True");
    cluster.settle().await;
    assert_eq!(status(&cluster), (1, 2, 1, 2, "SufficientPods".into()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_allows_nothing() {
    let cluster = Cluster::start(&["disruption-controller"]);
    set(&cluster, 1);
    pod(&cluster, "p", "True");
    cluster.api.remove("replicasets", "a", "s");
    budget(&cluster, json!({"maxUnavailable": 1}));
    cluster.settle().await;
    let (allowed, .., reason) = status(&cluster);
    assert_eq!((allowed, &*reason), (0, "SyncFailed"));
}

#[tokio::test(start_paused = true)]
async fn marks_of_pods_that_stay_are_taken_back() {
    let cluster = Cluster::start(&["disruption-controller"]);
    pod(&cluster, "p", "True");
    let now = stdx::format_seconds(cluster.clock.wall());
    cluster.api.edit("pods", "a", "p", |pod| {
        pod["status"]["conditions"] = json!([
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "lastTransitionTime": now},
        ]);
    });
    let state =
        || cluster.api.get("pods", "a", "p").unwrap()["status"]["conditions"][0]["status"].clone();
    cluster.pass(100).await;
    assert_eq!(state(), "True");
    cluster.pass(60).await;
    assert_eq!(state(), "False");
}
