//! A binding gives a pod to a node, once, and changes nothing else of it.

use crate::cluster::{Cluster, Reply};
use auth::Rbac;
use meta::{Value, value};
use std::sync::Arc;
use stdx::{Clock, Rng};

const PODS: &str = "/api/v1/namespaces/ns/pods";

async fn pod(cluster: &Cluster, name: &str) -> Value {
    let pod = value!({
        "metadata": {"name": name, "labels": {"app": "a", "topology.kubernetes.io/zone": "mine"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    cluster.post(PODS, &pod).await.ok()
}

async fn get(cluster: &Cluster, name: &str) -> Value {
    cluster.get(&format!("{PODS}/{name}")).await.ok()
}

fn binding(name: &str, node: &str) -> Value {
    value!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}})
}

async fn bind(cluster: &Cluster, name: &str, binding: &Value) -> Reply {
    cluster
        .post(&format!("{PODS}/{name}/binding"), binding)
        .await
}

/// All plugins, with nobody who may do anything of special importance.
fn plugins() -> admission::Chain {
    let rbac = Arc::new(Rbac::default());
    admission::chain(&admission::Needs {
        clock: Clock::system(),
        rng: Rng::system(),
        authorizer: rbac.clone(),
        rbac,
    })
}

#[tokio::test]
async fn a_binding_says_where_a_pod_runs() {
    let cluster = Cluster::start().await;
    let before = pod(&cluster, "a").await;
    let unschedulable = value!({"status": {"nominatedNodeName": "n0", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room",
        "observedGeneration": 1, "lastTransitionTime": "2020-01-01T00:00:00Z",
    }]}});
    let status = format!("{PODS}/a/status");
    let before_status = cluster.patch("merge", &status, &unschedulable).await.ok();
    let mut wanted = binding("a", "n1");
    wanted.set_at(&["metadata", "uid"], before.str_at(&["metadata", "uid"]));
    wanted.set_at(&["metadata", "annotations"], value!({"why": "best"}));
    wanted.set_at(&["metadata", "labels"], value!({"app": "b", "zone": "z"}));
    let reply = bind(&cluster, "a", &wanted).await;
    assert_eq!(reply.code, 201);
    assert_eq!(
        reply.value(),
        value!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
    );
    let after = get(&cluster, "a").await;
    assert_eq!(after.str_at(&["spec", "nodeName"]), "n1");
    assert_eq!(
        after.at(&["metadata", "annotations"]),
        Some(&value!({"why": "best"}))
    );
    assert_eq!(
        after.at(&["metadata", "labels"]),
        Some(&value!({"app": "b", "topology.kubernetes.io/zone": "mine", "zone": "z"}))
    );
    assert_eq!(after.at(&["status", "nominatedNodeName"]), None);
    let [condition] = after.items_at(&["status", "conditions"]) else {
        panic!("{after}");
    };
    let since = condition.str_at(&["lastTransitionTime"]).to_string();
    assert_ne!(since, "2020-01-01T00:00:00Z");
    assert_eq!(
        condition,
        &value!({"type": "PodScheduled", "status": "True", "lastTransitionTime": since})
    );
    // What the server writes for somebody else's request has no manager.
    let managers = |pod: &Value| pod.at(&["metadata", "managedFields"]).cloned();
    assert_eq!(managers(&after), managers(&before_status));
    assert_eq!(
        after.i64_at(&["metadata", "generation"]),
        before.i64_at(&["metadata", "generation"])
    );
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let cluster = Cluster::start().await;
    let made = pod(&cluster, "a").await;
    let uid = made.str_at(&["metadata", "uid"]);
    let refused = |wanted: Value| {
        let cluster = &cluster;
        async move { bind(cluster, "a", &wanted).await.failure() }
    };
    let of = |field: &str, wanted: &str| {
        let mut binding = binding("a", "n1");
        binding.set_at(&["metadata", field], wanted);
        binding
    };
    let head = "409 Conflict: Operation cannot be fulfilled on";
    let storage = "StorageError: invalid object, Code: 4, Key: /registry/core/pods/ns/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed:";
    assert_eq!(
        refused(of("uid", "u")).await,
        format!("{head} pods \"a\": {storage} UID in precondition: u, UID in object meta: {uid}")
    );
    let version = made.str_at(&["metadata", "resourceVersion"]);
    assert_eq!(
        refused(of("resourceVersion", "1")).await,
        format!(
            "{head} pods \"a\": {storage} ResourceVersion in precondition: 1, ResourceVersion in object meta: {version}"
        )
    );
    assert_eq!(
        refused(binding("b", "n1")).await,
        "400 BadRequest: name in URL does not match name in Binding object"
    );
    assert_eq!(
        bind(&cluster, "b", &binding("b", "n1")).await.failure(),
        "404 NotFound: pods \"b\" not found"
    );
    assert_eq!(
        bind(&cluster, "a", &of("resourceVersion", version))
            .await
            .code,
        201
    );
    let bound = get(&cluster, "a").await;
    assert_eq!(
        refused(binding("a", "n2")).await,
        format!("{head} pods/binding \"a\": pod a is already assigned to node \"n1\"")
    );
    // The older way, with the pod's name in the body only.
    let older = cluster
        .post("/api/v1/namespaces/ns/bindings", &binding("a", "n2"))
        .await;
    assert_eq!(
        older.failure(),
        format!("{head} pods/binding \"a\": pod a is already assigned to node \"n1\"")
    );
    assert_eq!(get(&cluster, "a").await, bound);
    let held = value!({
        "metadata": {"name": "held", "finalizers": ["x.io/f"]},
        "spec": {"containers": [{"name": "c", "image": "i"}], "schedulingGates": [{"name": "g"}]},
    });
    cluster.post(PODS, &held).await.ok();
    assert_eq!(
        bind(&cluster, "held", &binding("held", "n1"))
            .await
            .failure(),
        format!("{head} pods/binding \"held\": pod held has non-empty .spec.schedulingGates")
    );
    cluster.delete(&format!("{PODS}/held")).await;
    assert_eq!(
        bind(&cluster, "held", &binding("held", "n1"))
            .await
            .failure(),
        format!(
            "{head} pods/binding \"held\": pod held is being deleted, cannot be assigned to a host"
        )
    );
}

#[tokio::test]
async fn a_dry_run_binds_nothing() {
    let cluster = Cluster::start().await;
    pod(&cluster, "a").await;
    let before = get(&cluster, "a").await;
    let at = format!("{PODS}/a/binding?dryRun=All");
    let reply = cluster.post(&at, &binding("a", "n1")).await;
    assert_eq!(reply.code, 201);
    assert_eq!(get(&cluster, "a").await, before);
    bind(&cluster, "a", &binding("a", "n1")).await.ok();
    let again = cluster.post(&at, &binding("a", "n2")).await;
    assert_eq!(again.code, 409);
}

#[tokio::test]
async fn a_bound_pod_bears_its_nodes_zone_and_a_terminating_namespace_binds_no_more() {
    let cluster = Cluster::with(plugins()).await;
    for (at, object) in [
        ("/api/v1/namespaces", value!({"metadata": {"name": "ns"}})),
        (
            "/api/v1/namespaces/ns/serviceaccounts",
            value!({"metadata": {"name": "default"}}),
        ),
        (
            "/api/v1/nodes",
            value!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}}}),
        ),
    ] {
        cluster.post(at, &object).await.ok();
    }
    pod(&cluster, "a").await;
    pod(&cluster, "b").await;
    bind(&cluster, "a", &binding("a", "n1")).await.ok();
    let zone = ["metadata", "labels", "topology.kubernetes.io/zone"];
    assert_eq!(get(&cluster, "a").await.str_at(&zone), "z");
    assert_eq!(get(&cluster, "b").await.str_at(&zone), "mine");
    let mut here = value!({
        "metadata": {"name": "c"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    });
    here = cluster.post(PODS, &here).await.ok();
    assert_eq!(here.str_at(&zone), "z");
    cluster.delete("/api/v1/namespaces/ns").await;
    assert_eq!(
        bind(&cluster, "b", &binding("b", "n1")).await.failure(),
        "403 Forbidden: pods \"b\" is forbidden: unable to create new content in namespace ns because it is being terminated"
    );
}
