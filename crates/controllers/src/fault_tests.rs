//! Whatever is lost on the way, the end is the same: as many pods as were asked for, all of the
//! newest template, all of them told of, and nothing left to do.

use crate::testing::Cluster;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::faulty::{Faults, Odds};

const CONTROLLERS: &[&str] = &[
    "deployment-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "replicaset-controller",
];

const ODDS: Odds = Odds {
    request_lost: 0.1,
    answer_lost: 0.1,
    watch_cut: 0.02,
    delay_max: Duration::from_millis(500),
};

fn create(cluster: &Cluster) {
    cluster
        .api
        .create("nodes", json!({"metadata": {"name": "node"}}));
    cluster.api.create("services", json!({"metadata": {"name": "web", "namespace": "a"},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.43.0.9", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": 80}]}}));
    cluster.api.create("deployments", json!({
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "progressDeadlineSeconds": 600,
                 "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v0"}]}}},
    }));
}

fn change(cluster: &Cluster, image: &str, replicas: i32) {
    cluster.api.edit("deployments", "a", "web", |deployment| {
        deployment["spec"]["replicas"] = json!(replicas);
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

/// Gives running pods addresses, which the double does not.
fn address_pods(cluster: &Cluster) {
    for pod in cluster.api.list("pods") {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        if pod["status"]["phase"] == "Running" && pod["status"].get("podIPs").is_none() {
            let number = pod["metadata"]["uid"]
                .as_str()
                .unwrap()
                .bytes()
                .map(u32::from)
                .sum::<u32>();
            let ip = format!("10.42.{}.{}", number / 250, number % 250);
            cluster.api.edit("pods", "a", &name, |pod| {
                pod["status"]["podIPs"] = json!([{"ip": ip}])
            });
        }
    }
}

async fn run(cluster: &Cluster) {
    cluster.run_pods(|_| true);
    address_pods(cluster);
    cluster.settle().await;
}

async fn story(seed: u64) {
    let faults = Faults::default();
    let cluster = Cluster::start_faulty(CONTROLLERS, seed, ODDS, &faults);
    create(&cluster);
    for (image, replicas) in [("v1", 5), ("v2", 8), ("v3", 3), ("v1", 6)] {
        change(&cluster, image, replicas);
        for _ in 0..seed % 4 {
            run(&cluster).await;
        }
    }
    faults.heal();
    // What waits for an answer that was lost waits up to five minutes.
    for _ in 0..40 {
        run(&cluster).await;
    }
    check(&cluster, seed);
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(
        cluster.api.take_writes(),
        Vec::<String>::new(),
        "seed {seed}: something writes though nothing happens"
    );
    end(&cluster, seed).await;
}

fn check(cluster: &Cluster, seed: u64) {
    let pods = cluster.api.list("pods");
    let image = |pod: &Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let images: Vec<String> = pods.iter().map(image).collect();
    assert_eq!(images, ["v1"; 6], "seed {seed}");
    let status = cluster.api.get("deployments", "a", "web").unwrap()["status"].clone();
    assert_eq!(status["availableReplicas"], 6, "seed {seed}: {status}");
    let progress = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "Progressing");
    assert_eq!(
        progress.unwrap()["reason"],
        "NewReplicaSetAvailable",
        "seed {seed}: {status}"
    );
    let slices = cluster.api.list("endpointslices");
    let mut told: Vec<String> = slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().unwrap().clone())
        .map(|endpoint| endpoint["targetRef"]["uid"].as_str().unwrap().to_owned())
        .collect();
    let mut uids: Vec<String> = pods
        .iter()
        .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    uids.sort();
    assert_eq!(told, uids, "seed {seed}");
}

/// Everything goes with the deployment.
async fn end(cluster: &Cluster, seed: u64) {
    cluster.api.remove("deployments", "a", "web");
    for _ in 0..10 {
        run(cluster).await;
    }
    let left = [
        cluster.api.list("replicasets").len(),
        cluster.api.list("pods").len(),
    ];
    assert_eq!(left, [0, 0], "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn losses_do_not_change_the_end() {
    for seed in 0..8 {
        story(seed).await;
    }
}
