//! Silent nodes against the API server's double.

use crate::testing::Cluster;
use serde_json::{Value, json};

const CONTROLLERS: &[&str] = &["node-lifecycle-controller", "taint-eviction-controller"];

fn cluster(nodes: &[&str]) -> Cluster {
    let cluster = Cluster::start(CONTROLLERS);
    for name in nodes {
        cluster
            .api
            .create("nodes", json!({"metadata": {"name": name}}));
        cluster.api.create(
            "leases",
            json!({"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {}}),
        );
        beat(&cluster, name, "True");
    }
    cluster
}

/// Does what a kubelet does with its status.
fn beat(cluster: &Cluster, name: &str, ready: &str) {
    let now = stdx::format_seconds(cluster.clock.wall());
    let conditions: Vec<Value> = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"].iter().map(|kind| {
        let status = if *kind == "Ready" { ready } else { "False" };
        json!({"type": kind, "status": status, "reason": "Kubelet", "lastHeartbeatTime": now, "lastTransitionTime": now})
    }).collect();
    cluster.api.edit("nodes", "", name, |node| {
        node["status"]["conditions"] = json!(conditions)
    });
}

async fn renew(cluster: &Cluster, names: &[&str], seconds: u64) {
    for _ in 0..seconds / 10 {
        for name in names {
            let now = stdx::format_micros(cluster.clock.wall());
            cluster
                .api
                .edit("leases", "kube-node-lease", name, |lease| {
                    lease["spec"]["renewTime"] = json!(now)
                });
        }
        cluster.pass(10).await;
    }
}

fn taints(cluster: &Cluster, name: &str) -> Vec<String> {
    let node = cluster.api.get("nodes", "", name).unwrap();
    let taints = node["spec"]["taints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |taint: &Value, field: &str| {
        taint[field]
            .as_str()
            .unwrap()
            .trim_start_matches("node.kubernetes.io/")
            .to_owned()
    };
    taints
        .iter()
        .map(|taint| format!("{}:{}", text(taint, "key"), text(taint, "effect")))
        .collect()
}

fn pod(cluster: &Cluster, name: &str, node: &str, tolerations: Value) {
    cluster.api.create(
        "pods",
        json!({"metadata": {"name": name, "namespace": "a"},
        "spec": {"nodeName": node, "tolerations": tolerations, "containers": []}}),
    );
    cluster.api.edit("pods", "a", name, |pod| {
        pod["status"] =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    });
}

fn is_ending(cluster: &Cluster, name: &str) -> bool {
    cluster
        .api
        .get("pods", "a", name)
        .is_none_or(|pod| pod["metadata"].get("deletionTimestamp").is_some())
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_set_back_is_alive() {
    let cluster = cluster(&["here"]);
    renew(&cluster, &["here"], 20).await;
    let back = stdx::SignedDuration::from_hours(-2);
    assert!(cluster.clock.step_wall(back));
    renew(&cluster, &["here"], 200).await;
    assert_eq!(taints(&cluster, "here"), Vec::<String>::new());
    renew(&cluster, &[], 80).await;
    assert_eq!(taints(&cluster, "here"), ["unreachable:NoSchedule"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_tainted_and_emptied_and_comes_back() {
    let cluster = cluster(&["here", "there"]);
    let minutes = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
    pod(&cluster, "patient", "there", minutes);
    pod(&cluster, "plain", "there", json!([]));
    pod(&cluster, "daemon", "there", json!([{"operator": "Exists"}]));
    renew(&cluster, &["here", "there"], 100).await;
    assert_eq!(taints(&cluster, "there"), Vec::<String>::new());
    renew(&cluster, &["here"], 80).await;
    assert_eq!(
        taints(&cluster, "there"),
        ["unreachable:NoSchedule", "unreachable:NoExecute"]
    );
    assert_eq!(taints(&cluster, "here"), Vec::<String>::new());
    let node = cluster.api.get("nodes", "", "there").unwrap();
    let ready = &node["status"]["conditions"][0];
    assert_eq!(
        (&ready["status"], &ready["reason"], &ready["message"]),
        (
            &json!("Unknown"),
            &json!("NodeStatusUnknown"),
            &json!("Kubelet stopped posting node status.")
        )
    );
    assert_eq!(
        cluster.api.get("pods", "a", "daemon").unwrap()["status"]["conditions"][0]["status"],
        "False"
    );
    assert!(
        is_ending(&cluster, "plain")
            && !is_ending(&cluster, "patient")
            && !is_ending(&cluster, "daemon")
    );
    let events = cluster.events();
    assert!(
        events.contains(&"NodeNotReady: Node there status is now: NodeNotReady".to_owned()),
        "{events:?}"
    );
    assert!(
        events.contains(&"TaintManagerEviction: Marking for deletion Pod a/plain".to_owned()),
        "{events:?}"
    );
    beat(&cluster, "there", "True");
    renew(&cluster, &["here", "there"], 20).await;
    assert_eq!(taints(&cluster, "there"), Vec::<String>::new());
    renew(&cluster, &["here", "there"], 400).await;
    assert!(!is_ending(&cluster, "patient"), "it came back in time");
    assert!(
        cluster
            .events()
            .contains(&"TaintManagerEviction: Cancelling deletion of Pod a/patient".to_owned())
    );
    renew(&cluster, &["here"], 500).await;
    assert!(is_ending(&cluster, "patient") && !is_ending(&cluster, "daemon"));
}

#[tokio::test(start_paused = true)]
async fn conditions_become_taints() {
    let cluster = cluster(&["n"]);
    cluster.api.edit("nodes", "", "n", |node| {
        node["spec"]["unschedulable"] = json!(true);
        node["spec"]["taints"] = json!([{"key": "own", "effect": "NoSchedule"}]);
        node["status"]["conditions"][1]["status"] = json!("True");
    });
    renew(&cluster, &["n"], 20).await;
    assert_eq!(
        taints(&cluster, "n"),
        [
            "own:NoSchedule",
            "memory-pressure:NoSchedule",
            "unschedulable:NoSchedule"
        ]
    );
    cluster.api.edit("nodes", "", "n", |node| {
        node["spec"]["unschedulable"] = json!(false)
    });
    beat(&cluster, "n", "False");
    renew(&cluster, &["n"], 20).await;
    assert_eq!(
        taints(&cluster, "n"),
        ["own:NoSchedule", "not-ready:NoSchedule"],
        "all nodes are down: nobody is driven away"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_spoke_is_unknown() {
    let cluster = Cluster::start(CONTROLLERS);
    cluster
        .api
        .create("nodes", json!({"metadata": {"name": "n"}}));
    cluster.pass(80).await;
    let node = cluster.api.get("nodes", "", "n").unwrap();
    assert_eq!(
        node["status"]["conditions"][0]["reason"],
        "NodeStatusNeverUpdated"
    );
    assert_eq!(taints(&cluster, "n"), ["unreachable:NoSchedule"]);
    assert_eq!(
        cluster.events(),
        ["RegisteredNode: Node n event: Registered Node n in Controller"]
    );
    cluster.api.take_writes();
    cluster.pass(3600).await;
    assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn nodes_are_emptied_one_after_the_other() {
    let names = ["a", "b", "c", "d", "e"];
    let cluster = cluster(&names);
    renew(&cluster, &names, 60).await;
    let down = |cluster: &Cluster| {
        names
            .iter()
            .filter(|name| taints(cluster, name).contains(&"unreachable:NoExecute".to_owned()))
            .count()
    };
    let mut counts = Vec::new();
    for _ in 0..10 {
        renew(&cluster, &["a", "b", "c"], 10).await;
        counts.push(down(&cluster));
    }
    assert!(
        counts.windows(2).all(|pair| pair[1] - pair[0] <= 1),
        "{counts:?}"
    );
    assert_eq!((counts[0], counts[9]), (0, 2));
}
