//! ReplicaSets and ReplicationControllers against the API server's double.

use crate::testing::Cluster;
use serde_json::{Value, json};
use testkit::fake::Refusal;

const CONTROLLERS: &[&str] = &["replicaset-controller", "replicationcontroller-controller"];

fn set(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}},
    })
}

fn pod_names(cluster: &Cluster) -> Vec<String> {
    cluster
        .api
        .list("pods")
        .iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

fn status(cluster: &Cluster, resource: &str) -> Value {
    cluster.api.get(resource, "a", "web").unwrap()["status"].clone()
}

#[tokio::test(start_paused = true)]
async fn pods_are_made_counted_and_taken_away() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.create("replicasets", set(3));
    cluster.settle().await;
    let pods = cluster.api.list("pods");
    assert_eq!(pods.len(), 3);
    assert_eq!(pods[0]["metadata"]["generateName"], "web-");
    assert_eq!(
        pods[0]["metadata"]["ownerReferences"][0]["kind"],
        "ReplicaSet"
    );
    cluster.run_pods_until_quiet().await;
    let want = json!({"replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
        "terminatingReplicas": 0, "observedGeneration": 1});
    assert_eq!(status(&cluster, "replicasets"), want);
    cluster.api.edit("replicasets", "a", "web", |set| {
        set["spec"]["replicas"] = json!(1)
    });
    cluster.settle().await;
    assert_eq!(status(&cluster, "replicasets")["terminatingReplicas"], 2);
    cluster.run_pods_until_quiet().await;
    assert_eq!(pod_names(&cluster).len(), 1);
    let events = cluster.events();
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("SuccessfulCreate: Created pod: web-"))
            .count(),
        3
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("SuccessfulDelete: Deleted pod: web-"))
            .count(),
        2
    );
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(
        cluster.api.take_writes(),
        Vec::<String>::new(),
        "nothing changes, nothing is written"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replication_controller_is_no_different() {
    let cluster = Cluster::start(CONTROLLERS);
    let mut controller = set(2);
    controller["spec"]["selector"] = json!({"app": "web"});
    cluster.api.create("replicationcontrollers", controller);
    cluster.run_pods_until_quiet().await;
    let want = json!({"replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "observedGeneration": 1});
    assert_eq!(status(&cluster, "replicationcontrollers"), want);
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_lost_pod_is_replaced_and_orphans_are_adopted() {
    let cluster = Cluster::start(CONTROLLERS);
    let orphan =
        json!({"metadata": {"name": "orphan", "namespace": "a", "labels": {"app": "web"}}});
    cluster.api.create("pods", orphan);
    cluster.api.create("replicasets", set(2));
    cluster.run_pods_until_quiet().await;
    let names = pod_names(&cluster);
    assert!(
        names.len() == 2 && names.contains(&"orphan".to_owned()),
        "{names:?}"
    );
    assert_eq!(
        cluster.api.get("pods", "a", "orphan").unwrap()["metadata"]["ownerReferences"][0]["name"],
        "web"
    );
    cluster.api.edit("pods", "a", "orphan", |pod| {
        pod["metadata"]["labels"]["app"] = json!("other")
    });
    cluster.run_pods_until_quiet().await;
    assert_eq!(pod_names(&cluster).len(), 3);
    let released = cluster.api.get("pods", "a", "orphan").unwrap();
    assert_eq!(released["metadata"]["ownerReferences"], json!([]));
    let lost = pod_names(&cluster)
        .into_iter()
        .find(|name| name != "orphan")
        .unwrap();
    cluster.api.remove("pods", "a", &lost);
    cluster.run_pods_until_quiet().await;
    assert_eq!(pod_names(&cluster).len(), 3);
    cluster.api.edit("pods", "a", "orphan", |pod| {
        pod["status"]["phase"] = json!("Failed")
    });
    cluster.run_pods_until_quiet().await;
    assert_eq!(status(&cluster, "replicasets")["replicas"], 2);
}

#[tokio::test(start_paused = true)]
async fn refusals_slow_down_and_are_told() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster.api.react(|method, path| {
        let refused = method.as_str() == "POST" && path.ends_with("/pods");
        refused.then(|| Refusal::new(403, "Forbidden", "pods is forbidden: exceeded quota"))
    });
    cluster.api.create("replicasets", set(100));
    cluster.settle().await;
    let tries = cluster
        .api
        .take_writes()
        .into_iter()
        .filter(|write| write.ends_with("/pods"))
        .count();
    assert!((5..20).contains(&tries), "{tries} tries in ten seconds");
    let conditions = status(&cluster, "replicasets")["conditions"].clone();
    assert_eq!(conditions[0]["type"], "ReplicaFailure");
    assert_eq!(conditions[0]["reason"], "FailedCreate");
    assert_eq!(
        conditions[0]["message"],
        "pods is forbidden: exceeded quota"
    );
    assert!(
        cluster.events()[0]
            .starts_with("FailedCreate: Error creating: pods is forbidden: exceeded quota")
    );
    cluster.api.relent();
    cluster.pass(1000).await;
    cluster.run_pods_until_quiet().await;
    assert_eq!(pod_names(&cluster).len(), 100);
    assert!(status(&cluster, "replicasets").get("conditions").is_none());
}

#[tokio::test(start_paused = true)]
async fn pods_become_available_by_the_passing_of_time() {
    let cluster = Cluster::start(CONTROLLERS);
    let mut slow = set(1);
    slow["spec"]["minReadySeconds"] = json!(300);
    cluster.api.create("replicasets", slow);
    cluster.settle().await;
    cluster.run_pods(|_| true);
    cluster.pass(290).await;
    assert_eq!(
        status(&cluster, "replicasets").get("availableReplicas"),
        None
    );
    assert_eq!(status(&cluster, "replicasets")["readyReplicas"], 1);
    cluster.pass(15).await;
    assert_eq!(status(&cluster, "replicasets")["availableReplicas"], 1);
}
