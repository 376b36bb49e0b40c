//! What a namespace may have at most is never passed: not by many at once, not
//! by two servers over one store; and what fails is not charged.

use crate::cluster::Cluster;
use futures::future::join_all;
use meta::{Value, value};
use std::sync::Arc;
use stdx::{Clock, Rng};

const QUOTAS: &str = "/api/v1/namespaces/ns/resourcequotas";
const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const PODS: &str = "/api/v1/namespaces/ns/pods";

/// A quota that has been measured.
async fn quota(cluster: &Cluster, hard: Value, used: Value) {
    let made = value!({"metadata": {"name": "q"}, "spec": {"hard": hard.clone()}});
    let mut quota = cluster.post(QUOTAS, &made).await.ok();
    quota.set_at(&["status"], value!({"hard": hard, "used": used}));
    cluster
        .put(&format!("{QUOTAS}/q/status"), &quota)
        .await
        .ok();
}

async fn used(cluster: &Cluster) -> String {
    let quota = cluster.get(&format!("{QUOTAS}/q")).await.ok();
    quota
        .at(&["status", "used"])
        .cloned()
        .unwrap_or_default()
        .to_json()
}

fn map(name: &str) -> Value {
    value!({"metadata": {"name": name}})
}

/// Waits until a server's cache has seen the quota, by which it knows that the
/// namespace has any.
async fn seen(cluster: &Cluster) {
    let list = cluster.get(QUOTAS).await.ok();
    assert_eq!(list.items_at(&["items"]).len(), 1);
}

#[tokio::test]
async fn many_at_once_do_not_pass_the_limit() {
    let clock = Clock::system();
    let store: Arc<dyn store::Store> = Arc::new(store::memory(clock.clone(), Rng::system()));
    let one = Cluster::over(store.clone(), clock.clone()).await;
    let two = Cluster::over(store, clock).await;
    quota(
        &one,
        value!({"configmaps": "20"}),
        value!({"configmaps": "0"}),
    )
    .await;
    seen(&one).await;
    seen(&two).await;
    let makes = (0..80).map(|i| {
        let cluster = if i % 2 == 0 { &one } else { &two };
        async move {
            // One that is told that others were faster tries again, as clients do.
            for _ in 0..100 {
                let reply = cluster.post(MAPS, &map(&format!("m{i}"))).await;
                if reply.code != 409 {
                    return reply;
                }
            }
            panic!("m{i} is always overtaken");
        }
    });
    let replies = join_all(makes).await;
    let made = replies.iter().filter(|reply| reply.code == 201).count();
    assert_eq!(made, 20);
    assert_eq!(used(&one).await, "{\"configmaps\":\"20\"}");
    let listed = one.get(MAPS).await.ok();
    assert_eq!(listed.items_at(&["items"]).len(), 20);
    let refused = replies
        .iter()
        .find(|reply| reply.code != 201)
        .map(|r| r.failure());
    let refused = refused.unwrap_or_default();
    assert!(
        refused.ends_with("is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=20, limited: configmaps=20"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_not_kept_is_not_charged() {
    let cluster = Cluster::start().await;
    quota(
        &cluster,
        value!({"configmaps": "2", "count/leases.coordination.k8s.io": "1"}),
        value!({"configmaps": "0", "count/leases.coordination.k8s.io": "0"}),
    )
    .await;
    seen(&cluster).await;
    cluster.post(MAPS, &map("a")).await.ok();
    let again = cluster.post(MAPS, &map("a")).await;
    assert_eq!(again.code, 409);
    let wrong = cluster.post(MAPS, &map("A")).await;
    assert_eq!(wrong.code, 422);
    let dry = cluster.post(&format!("{MAPS}?dryRun=All"), &map("b")).await;
    assert_eq!(dry.code, 201);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
    cluster.post(leases, &map("l")).await.ok();
    assert_eq!(
        used(&cluster).await,
        "{\"configmaps\":\"1\",\"count/leases.coordination.k8s.io\":\"1\"}"
    );
    assert_eq!(cluster.post(leases, &map("k")).await.code, 403);
    // Other namespaces are nobody's business here.
    let elsewhere = "/api/v1/namespaces/other/configmaps";
    for name in ["a", "b", "c"] {
        cluster.post(elsewhere, &map(name)).await.ok();
    }
}

#[tokio::test]
async fn pods_and_services_are_measured() {
    let cluster = Cluster::start().await;
    let hard = value!({"requests.cpu": "1", "services.nodeports": "1"});
    quota(
        &cluster,
        hard,
        value!({"requests.cpu": "0", "services.nodeports": "0"}),
    )
    .await;
    seen(&cluster).await;
    let pod = |name: &str, cpu: &str| {
        value!({"metadata": {"name": name}, "spec": {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}},
        ]}})
    };
    cluster.post(PODS, &pod("a", "600m")).await.ok();
    assert_eq!(
        cluster.post(PODS, &pod("b", "600m")).await.failure(),
        "403 Forbidden: pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    );
    let services = "/api/v1/namespaces/ns/services";
    let service = |ports: Value| value!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": ports}});
    let plain = value!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    cluster.post(services, &plain).await.ok();
    let more = value!([{"name": "a", "port": 80}, {"name": "b", "port": 81}]);
    let at = format!("{services}/s");
    let refused = cluster.patch("merge", &at, &service(more)).await;
    assert_eq!(refused.code, 403, "{}", refused.text());
    let one = value!([{"port": 80}]);
    cluster.patch("merge", &at, &service(one)).await.ok();
    assert_eq!(
        used(&cluster).await,
        "{\"requests.cpu\":\"600m\",\"services.nodeports\":\"1\"}"
    );
}
