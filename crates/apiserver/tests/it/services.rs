//! What a Service holds: addresses and node ports, given once, kept over
//! changes, and free again when it does not need them any more.

use crate::cluster::Cluster;
use meta::{Value, value};
use std::collections::BTreeSet;

const SERVICES: &str = "/api/v1/namespaces/ns/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

fn service(name: &str, spec: Value) -> Value {
    let mut service = value!({"metadata": {"name": name}, "spec": spec});
    if service.at(&["spec", "ports"]).is_none() {
        service.set_at(&["spec", "ports"], value!([{"port": 80}]));
    }
    service
}

fn ip(service: &Value) -> String {
    service.str_at(&["spec", "clusterIP"]).to_string()
}

fn node_ports(service: &Value) -> Vec<i64> {
    let ports = service.items_at(&["spec", "ports"]).iter();
    ports
        .map(|p| p.i64_at(&["nodePort"]).unwrap_or(0))
        .collect()
}

async fn held(cluster: &Cluster) -> usize {
    cluster.get(ADDRESSES).await.ok().items_at(&["items"]).len()
}

#[tokio::test]
async fn addresses_are_given_once_and_come_back() {
    let cluster = Cluster::start().await;
    let a = cluster.post(SERVICES, &service("a", value!({}))).await.ok();
    assert!(ip(&a).starts_with("10.43."), "{a}");
    assert_eq!(a.items_at(&["spec", "clusterIPs"]), [Value::from(ip(&a))]);
    let address = cluster.get(&format!("{ADDRESSES}/{}", ip(&a))).await.ok();
    assert_eq!(address.str_at(&["spec", "parentRef", "name"]), "a");

    let taken = cluster
        .post(SERVICES, &service("b", value!({"clusterIP": ip(&a)})))
        .await;
    assert_eq!(
        taken.failure(),
        format!(
            "422 Invalid: Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{0}\"]: failed to allocate IP {0}: provided IP is already allocated",
            ip(&a)
        )
    );
    let outside = cluster
        .post(SERVICES, &service("b", value!({"clusterIP": "10.1.2.3"})))
        .await;
    assert!(
        outside
            .failure()
            .contains("is not in the valid range. The range of valid IPs is 10.43.0.0/16"),
        "{}",
        outside.failure()
    );
    let none = cluster
        .post(SERVICES, &service("none", value!({"clusterIP": "None"})))
        .await
        .ok();
    assert_eq!(ip(&none), "None");
    let dry = cluster
        .post(&format!("{SERVICES}?dryRun=All"), &service("d", value!({})))
        .await
        .ok();
    assert!(!ip(&dry).is_empty());
    assert_eq!(held(&cluster).await, 1);

    // A change that does not say the address keeps it.
    let mut bare = service("a", value!({"ports": [{"port": 81}]}));
    bare.set_at(
        &["metadata", "resourceVersion"],
        a.str_at(&["metadata", "resourceVersion"]),
    );
    let kept = cluster.put(&format!("{SERVICES}/a"), &bare).await.ok();
    assert_eq!(ip(&kept), ip(&a));
    let named = value!({"spec": {"type": "ExternalName", "externalName": "x.example", "clusterIP": "", "clusterIPs": null}});
    let named = cluster
        .patch("merge", &format!("{SERVICES}/a"), &named)
        .await
        .ok();
    assert_eq!(ip(&named), "");
    assert_eq!(held(&cluster).await, 0);
    let back = value!({"spec": {"type": "ClusterIP", "externalName": null}});
    let back = cluster
        .patch("merge", &format!("{SERVICES}/a"), &back)
        .await
        .ok();
    assert!(ip(&back).starts_with("10.43."));
    cluster.delete(&format!("{SERVICES}/a")).await.ok();
    assert_eq!(held(&cluster).await, 0);
    let again = cluster
        .post(SERVICES, &service("e", value!({"clusterIP": ip(&back)})))
        .await
        .ok();
    assert_eq!(ip(&again), ip(&back));
}

#[tokio::test]
async fn node_ports_are_given_once_and_come_back() {
    let cluster = Cluster::start().await;
    let both = value!({"type": "NodePort", "ports": [
        {"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "w", "port": 80}
    ]});
    let a = cluster.post(SERVICES, &service("a", both)).await.ok();
    let ports = node_ports(&a);
    assert_eq!(ports[0], ports[1], "protocols of one port share it");
    assert!(ports.iter().all(|p| (30000..=32767).contains(p)) && ports[0] != ports[2]);
    let asks = |port: i64| {
        service(
            "b",
            value!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}),
        )
    };
    assert_eq!(
        cluster.post(SERVICES, &asks(ports[0])).await.failure(),
        format!(
            "422 Invalid: Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: {}: provided port is already allocated",
            ports[0]
        )
    );
    assert!(cluster.post(SERVICES, &asks(80)).await.failure().contains(
        "provided port is not in the valid range. The range of valid ports is 30000-32767"
    ));
    let plain = value!({"spec": {"type": "ClusterIP"}});
    let plain = cluster
        .patch("merge", &format!("{SERVICES}/a"), &plain)
        .await
        .ok();
    assert_eq!(node_ports(&plain), [0, 0, 0]);
    let b = cluster.post(SERVICES, &asks(ports[0])).await.ok();
    assert_eq!(node_ports(&b), [ports[0]]);
    cluster.delete(&format!("{SERVICES}/b")).await.ok();
    cluster.post(SERVICES, &asks(ports[0])).await.ok();

    let local = value!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let local = cluster.post(SERVICES, &service("l", local)).await.ok();
    let health = local
        .i64_at(&["spec", "healthCheckNodePort"])
        .expect("a port");
    assert_ne!(node_ports(&local), [health]);
    let mut thief = asks(health);
    thief.set_at(&["metadata", "name"], "thief");
    assert!(
        cluster
            .post(SERVICES, &thief)
            .await
            .failure()
            .contains("already allocated")
    );
    let away = value!({"spec": {"externalTrafficPolicy": "Cluster"}});
    let away = cluster
        .patch("merge", &format!("{SERVICES}/l"), &away)
        .await
        .ok();
    assert_eq!(away.i64_at(&["spec", "healthCheckNodePort"]), None);
    cluster.post(SERVICES, &thief).await.ok();
}

#[tokio::test]
async fn of_many_who_want_one_address_one_gets_it() {
    let cluster = Cluster::start().await;
    let wanted = (0..20).map(|i| {
        let cluster = &cluster;
        async move {
            let object = service(&format!("s{i}"), value!({"clusterIP": "10.43.7.7"}));
            cluster.post(SERVICES, &object).await
        }
    });
    let replies = futures::future::join_all(wanted).await;
    let lucky = replies.iter().filter(|r| r.code == 201).count();
    assert_eq!(lucky, 1);
    for reply in replies.iter().filter(|r| r.code != 201) {
        assert!(
            reply.failure().starts_with("422 Invalid"),
            "{}",
            reply.failure()
        );
    }
    let any = (0..100).map(|i| {
        let cluster = &cluster;
        async move {
            let object = service(&format!("t{i}"), value!({"type": "NodePort"}));
            cluster.post(SERVICES, &object).await.ok()
        }
    });
    let made = futures::future::join_all(any).await;
    let ips: BTreeSet<String> = made.iter().map(ip).collect();
    let ports: BTreeSet<i64> = made.iter().flat_map(node_ports).collect();
    assert_eq!((ips.len(), ports.len()), (100, 100));
}

#[tokio::test]
async fn of_many_writers_none_is_forgotten() {
    let cluster = Cluster::start().await;
    let maps = "/api/v1/namespaces/ns/configmaps";
    cluster
        .post(maps, &value!({"metadata": {"name": "a"}}))
        .await
        .ok();
    let patches = (0..40).map(|i| {
        let cluster = &cluster;
        async move {
            let key = format!("k{i}");
            let patch = value!({"data": {(key.as_str()): "v"}});
            // A client that loses too often is told so and tries again.
            while cluster
                .patch("merge", &format!("{maps}/a"), &patch)
                .await
                .code
                != 200
            {}
        }
    });
    futures::future::join_all(patches).await;
    let found = cluster.get(&format!("{maps}/a")).await.ok();
    assert_eq!(
        found
            .get("data")
            .and_then(Value::as_object)
            .map(meta::Map::len),
        Some(40)
    );

    // Of many who apply what is not there yet, all are heard.
    let applies = (0..10).map(|i| {
        let cluster = &cluster;
        async move {
            let key = format!("k{i}");
            let config = value!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "b"}, "data": {(key.as_str()): "v"}});
            let url = format!("{maps}/b?fieldManager=m{i}");
            while cluster.apply(&url, &config).await.code >= 300 {}
        }
    });
    futures::future::join_all(applies).await;
    let found = cluster.get(&format!("{maps}/b")).await.ok();
    assert_eq!(
        found
            .get("data")
            .and_then(Value::as_object)
            .map(meta::Map::len),
        Some(10)
    );

    // A delete and updates: it is gone, and nobody brings it back.
    let race = async {
        let (one, patch) = (format!("{maps}/a"), value!({"data": {"x": "y"}}));
        let update = cluster.patch("merge", &one, &patch);
        let (update, delete) = futures::join!(update, cluster.delete(&one));
        assert!(matches!(update.code, 200 | 404), "{}", update.text());
        assert_eq!(delete.code, 200);
    };
    race.await;
    assert_eq!(cluster.get(&format!("{maps}/a")).await.code, 404);
}
