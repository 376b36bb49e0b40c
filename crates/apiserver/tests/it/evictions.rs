//! A pod goes when the budget of its application allows, and who asks is told
//! when it does not.

use crate::cluster::{Cluster, Reply};
use futures::future::join_all;
use meta::{Value, value};

const PODS: &str = "/api/v1/namespaces/ns/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/ns/poddisruptionbudgets";

async fn pod(cluster: &Cluster, name: &str, phase: &str, ready: &str) {
    let pod = value!({
        "metadata": {"name": name, "labels": {"app": "a"}, "finalizers": ["example.com/look"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    cluster.post(PODS, &pod).await.ok();
    let status = value!({"status": {
        "phase": phase, "conditions": [{"type": "Ready", "status": ready}],
    }});
    let at = format!("{PODS}/{name}/status");
    cluster.patch("merge", &at, &status).await.ok();
}

/// A budget as its controller left it.
async fn budget(cluster: &Cluster, name: &str, status: Value) {
    let budget = value!({"metadata": {"name": name}, "spec": {
        "minAvailable": 1, "selector": {"matchLabels": {"app": "a"}},
    }});
    cluster.post(BUDGETS, &budget).await.ok();
    let at = format!("{BUDGETS}/{name}/status");
    cluster
        .patch("merge", &at, &value!({"status": status}))
        .await
        .ok();
}

async fn evict(cluster: &Cluster, name: &str) -> Reply {
    let eviction =
        value!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    cluster
        .post(&format!("{PODS}/{name}/eviction"), &eviction)
        .await
}

async fn is_going(cluster: &Cluster, name: &str) -> bool {
    let pod = cluster.get(&format!("{PODS}/{name}")).await.ok();
    pod.at(&["metadata", "deletionTimestamp"]).is_some()
}

fn allows(count: i64) -> Value {
    value!({
        "observedGeneration": 1, "disruptionsAllowed": count, "currentHealthy": 3,
        "desiredHealthy": 2, "expectedPods": 3,
    })
}

#[tokio::test]
async fn without_a_budget_pods_go() {
    let cluster = Cluster::start().await;
    pod(&cluster, "a", "Running", "True").await;
    let reply = evict(&cluster, "a").await;
    assert_eq!(reply.code, 201, "{}", reply.text());
    assert_eq!(reply.ok().str_at(&["status"]), "Success");
    assert!(is_going(&cluster, "a").await);
    let gone = cluster.get(&format!("{PODS}/a")).await.ok();
    let mark = &gone.items_at(&["status", "conditions"])[1];
    assert_eq!(mark.str_at(&["type"]), "DisruptionTarget");
    assert_eq!(mark.str_at(&["reason"]), "EvictionByEvictionAPI");
    assert_eq!(
        evict(&cluster, "b").await.failure(),
        "404 NotFound: pods \"b\" not found"
    );
}

#[tokio::test]
async fn a_budget_is_never_overspent() {
    let cluster = Cluster::start().await;
    let names: Vec<String> = (0..12).map(|i| format!("p{i}")).collect();
    for name in &names {
        pod(&cluster, name, "Running", "True").await;
    }
    budget(&cluster, "b", allows(3)).await;
    let replies = join_all(names.iter().map(|name| evict(&cluster, name))).await;
    assert_eq!(replies.iter().filter(|r| r.code == 201).count(), 3);
    let refused: Vec<&Reply> = replies.iter().filter(|r| r.code != 201).collect();
    assert_eq!(
        refused[0].failure(),
        "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget."
    );
    let cause = refused[0].value().items_at(&["details", "causes"])[0].clone();
    assert_eq!(cause.str_at(&["reason"]), "DisruptionBudget");
    assert_eq!(
        cause.str_at(&["message"]),
        "The disruption budget b needs 2 healthy pods and has 3 currently"
    );
    let budget = cluster.get(&format!("{BUDGETS}/b")).await.ok();
    assert_eq!(budget.i64_at(&["status", "disruptionsAllowed"]), Some(0));
    let disrupted = budget
        .at(&["status", "disruptedPods"])
        .and_then(Value::as_object);
    assert_eq!(disrupted.map_or(0, |pods| pods.len()), 3);
    let condition = &budget.items_at(&["status", "conditions"])[0];
    assert_eq!(condition.str_at(&["reason"]), "InsufficientPods");
}

#[tokio::test]
async fn pods_that_serve_nobody_go_anyway() {
    let cluster = Cluster::start().await;
    budget(&cluster, "b", allows(0)).await;
    for phase in ["Pending", "Succeeded", "Failed"] {
        let name = phase.to_lowercase();
        pod(&cluster, &name, phase, "False").await;
        assert_eq!(evict(&cluster, &name).await.code, 201);
        assert!(is_going(&cluster, &name).await);
    }
    // Not ready, and the budget has enough of others.
    pod(&cluster, "broken", "Running", "False").await;
    assert_eq!(evict(&cluster, "broken").await.code, 201);
    pod(&cluster, "well", "Running", "True").await;
    assert_eq!(evict(&cluster, "well").await.code, 429);
    assert!(!is_going(&cluster, "well").await);
}

#[tokio::test]
async fn doubt_is_told() {
    let cluster = Cluster::start().await;
    pod(&cluster, "a", "Running", "True").await;
    let unseen = value!({"observedGeneration": 0, "disruptionsAllowed": 1});
    budget(&cluster, "b", unseen).await;
    let reply = evict(&cluster, "a").await;
    assert_eq!((reply.code, reply.header("retry-after")), (429, "10"));
    let cause = reply.value().items_at(&["details", "causes"])[0].clone();
    assert_eq!(
        cause.str_at(&["message"]),
        "The disruption budget b is still being processed by the server."
    );
    budget(&cluster, "c", allows(1)).await;
    let reply = evict(&cluster, "a").await;
    assert_eq!(reply.code, 500);
    assert_eq!(
        reply.value().str_at(&["message"]),
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    );
    let other = value!({"metadata": {"name": "x"}});
    let reply = cluster.post(&format!("{PODS}/a/eviction"), &other).await;
    assert_eq!(
        reply.failure(),
        "400 BadRequest: name in URL does not match name in Eviction object"
    );
    let dry = value!({"metadata": {"name": "a"}, "deleteOptions": {"dryRun": ["All"]}});
    cluster.delete(&format!("{BUDGETS}/c")).await.ok();
    cluster
        .patch(
            "merge",
            &format!("{BUDGETS}/b/status"),
            &value!({"status": allows(1)}),
        )
        .await
        .ok();
    let reply = cluster.post(&format!("{PODS}/a/eviction"), &dry).await;
    assert_eq!(reply.code, 201, "{}", reply.text());
    assert!(!is_going(&cluster, "a").await);
    let budget = cluster.get(&format!("{BUDGETS}/b")).await.ok();
    assert_eq!(budget.i64_at(&["status", "disruptionsAllowed"]), Some(1));
}
