//! EndpointSlices and Endpoints against the API server's double.

use crate::testing::Cluster;
use serde_json::{Value, json};

const CONTROLLERS: &[&str] = &["endpoints-controller", "endpointslice-controller"];

fn cluster() -> Cluster {
    let cluster = Cluster::start(CONTROLLERS);
    let labels = json!({"topology.kubernetes.io/zone": "z1"});
    cluster.api.create(
        "nodes",
        json!({"metadata": {"name": "node", "labels": labels}}),
    );
    cluster
}

fn service(cluster: &Cluster, spec: Value) {
    let mut service = json!({"metadata": {"name": "web", "namespace": "a", "labels": {"team": "x"}}, "spec": {
        "selector": {"app": "web"}, "clusterIP": "10.43.0.9", "ipFamilies": ["IPv4"],
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]}});
    for (field, value) in spec.as_object().unwrap() {
        service["spec"][field] = value.clone();
    }
    cluster.api.create("services", service);
}

fn pod(cluster: &Cluster, name: &str, ip: &str, ready: bool) {
    cluster.api.create("pods", json!({"metadata": {"name": name, "namespace": "a", "labels": {"app": "web"}},
        "spec": {"nodeName": "node", "hostname": name, "subdomain": "web",
                 "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8080, "protocol": "TCP"}]}]}}));
    cluster.api.edit("pods", "a", name, |pod| {
        let state = if ready { "True" } else { "False" };
        pod["status"] = json!({"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [
            {"type": "Ready", "status": state, "lastTransitionTime": "2026-01-01T00:00:05Z"}]});
    });
}

/// The slices' endpoints as `address ready/serving/terminating`, and the ports.
fn slices(cluster: &Cluster) -> Vec<String> {
    let mut lines: Vec<String> = cluster
        .api
        .list("endpointslices")
        .iter()
        .flat_map(|slice| {
            let ports: Vec<String> = slice["ports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|port| port["port"].to_string())
                .collect();
            let endpoints = slice["endpoints"].as_array().unwrap().clone();
            endpoints.into_iter().map(move |endpoint| {
                let flag = |name: &'static str| {
                    if endpoint["conditions"][name] == true {
                        name
                    } else {
                        "-"
                    }
                };
                format!(
                    "{}:{} {} {} {}",
                    endpoint["addresses"][0].as_str().unwrap(),
                    ports.join(","),
                    flag("ready"),
                    flag("serving"),
                    flag("terminating")
                )
            })
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn slices_follow_the_pods() {
    let cluster = cluster();
    service(&cluster, json!({}));
    cluster.settle().await;
    let empty = cluster.api.list("endpointslices");
    assert_eq!(
        (empty.len(), &empty[0]["endpoints"]),
        (1, &json!([])),
        "a placeholder"
    );
    pod(&cluster, "one", "10.42.0.5", true);
    pod(&cluster, "two", "10.42.0.6", false);
    cluster.settle().await;
    assert_eq!(
        slices(&cluster),
        ["10.42.0.5:8080 ready serving -", "10.42.0.6:8080 - - -"]
    );
    let slice = cluster.api.list("endpointslices").remove(0);
    assert_eq!(
        slice["metadata"]["labels"],
        json!({"team": "x", "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"})
    );
    assert_eq!(
        slice["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"],
        "2026-01-01T00:00:05Z"
    );
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Service");
    let endpoint = &slice["endpoints"][0];
    assert_eq!(
        (
            &endpoint["zone"],
            &endpoint["nodeName"],
            &endpoint["hostname"]
        ),
        (&json!("z1"), &json!("node"), &json!("one"))
    );
}

#[tokio::test(start_paused = true)]
async fn ending_pods_serve_but_are_not_ready() {
    let cluster = cluster();
    service(&cluster, json!({}));
    pod(&cluster, "one", "10.42.0.5", true);
    cluster.settle().await;
    cluster.api.edit("pods", "a", "one", |pod| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    });
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5:8080 - serving terminating"]);
    assert!(
        cluster
            .api
            .get("endpoints", "a", "web")
            .unwrap()
            .get("subsets")
            .is_none()
    );
    cluster.api.remove("pods", "a", "one");
    cluster.settle().await;
    assert_eq!(slices(&cluster), Vec::<String>::new());
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_to_a_slice_and_few_writes() {
    let cluster = cluster();
    service(&cluster, json!({}));
    for number in 0..150 {
        pod(
            &cluster,
            &format!("p{number}"),
            &format!("10.42.1.{number}"),
            true,
        );
    }
    cluster.settle().await;
    let sizes = |cluster: &Cluster| {
        let mut sizes: Vec<usize> = cluster
            .api
            .list("endpointslices")
            .iter()
            .map(|slice| slice["endpoints"].as_array().unwrap().len())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&cluster).iter().sum::<usize>(), 150);
    assert!(sizes(&cluster).iter().all(|size| *size <= 100));
    cluster.api.take_writes();
    pod(&cluster, "late", "10.42.2.1", true);
    cluster.settle().await;
    let writes = cluster.api.take_writes();
    let slice_writes: Vec<_> = writes
        .iter()
        .filter(|write| write.contains("endpointslices"))
        .collect();
    assert_eq!(slice_writes.len(), 1, "{slice_writes:?}");
    assert_eq!(sizes(&cluster).iter().sum::<usize>(), 151);
    for number in 0..150 {
        cluster.api.remove("pods", "a", &format!("p{number}"));
    }
    cluster.settle().await;
    assert_eq!(sizes(&cluster), [1]);
}

#[tokio::test(start_paused = true)]
async fn headless_and_not_ready_are_told_as_asked() {
    let cluster = cluster();
    service(
        &cluster,
        json!({"clusterIP": "None", "publishNotReadyAddresses": true, "ports": []}),
    );
    pod(&cluster, "one", "10.42.0.5", false);
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5: ready - -"]);
    let slice = cluster.api.list("endpointslices").remove(0);
    assert_eq!(
        slice["metadata"]["labels"]["service.kubernetes.io/headless"],
        ""
    );
    let endpoints = cluster.api.get("endpoints", "a", "web").unwrap();
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "10.42.0.5");
    assert_eq!(
        endpoints["metadata"]["labels"]["service.kubernetes.io/headless"],
        ""
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_change_is_put_right() {
    let cluster = cluster();
    service(&cluster, json!({}));
    pod(&cluster, "one", "10.42.0.5", true);
    cluster.settle().await;
    let name = cluster.api.list("endpointslices")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.api.edit("endpointslices", "a", &name, |slice| {
        slice["endpoints"] = json!([]);
        slice["metadata"]["generation"] = json!(9);
    });
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5:8080 ready serving -"]);
    cluster.api.remove("endpointslices", "a", &name);
    cluster.api.remove("endpoints", "a", "web");
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5:8080 ready serving -"]);
    assert!(cluster.api.get("endpoints", "a", "web").is_some());
    cluster.api.edit("services", "a", "web", |service| {
        service["spec"]["ports"][0]["targetPort"] = json!(9090)
    });
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5:9090 ready serving -"]);
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_returns_are_told_of() {
    let cluster = cluster();
    let node = cluster.api.get("nodes", "", "node").unwrap();
    cluster.api.remove("nodes", "", "node");
    service(&cluster, json!({}));
    pod(&cluster, "one", "10.42.0.5", true);
    // Nobody tries for so long.
    cluster.pass(3600).await;
    assert_eq!(slices(&cluster), Vec::<String>::new());
    cluster.api.create("nodes", node);
    cluster.settle().await;
    assert_eq!(slices(&cluster), ["10.42.0.5:8080 ready serving -"]);
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_grouped_by_ports_and_readiness() {
    let cluster = cluster();
    service(&cluster, json!({}));
    pod(&cluster, "one", "10.42.0.5", true);
    pod(&cluster, "two", "10.42.0.6", false);
    cluster.settle().await;
    let endpoints = cluster.api.get("endpoints", "a", "web").unwrap();
    assert_eq!(
        endpoints["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"],
        "endpoint-controller"
    );
    let subsets = endpoints["subsets"].as_array().unwrap();
    assert_eq!(subsets.len(), 1);
    assert_eq!(subsets[0]["addresses"][0]["ip"], "10.42.0.5");
    assert_eq!(subsets[0]["addresses"][0]["targetRef"]["name"], "one");
    assert_eq!(subsets[0]["notReadyAddresses"][0]["ip"], "10.42.0.6");
    assert_eq!(
        subsets[0]["ports"],
        json!([{"name": "http", "port": 8080, "protocol": "TCP"}])
    );
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
    cluster.api.remove("services", "a", "web");
    cluster.settle().await;
    assert!(cluster.api.get("endpoints", "a", "web").is_none());
}

#[tokio::test(start_paused = true)]
async fn endpoints_hold_a_thousand() {
    let cluster = cluster();
    service(&cluster, json!({}));
    for number in 0..1010 {
        pod(
            &cluster,
            &format!("p{number}"),
            &format!("10.42.{}.{}", number / 250, number % 250),
            number % 2 == 0,
        );
    }
    cluster.settle().await;
    let endpoints = cluster.api.get("endpoints", "a", "web").unwrap();
    assert_eq!(
        endpoints["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"],
        "truncated"
    );
    let count = |field: &str| endpoints["subsets"][0][field].as_array().unwrap().len();
    assert_eq!((count("addresses"), count("notReadyAddresses")), (505, 495));
}
