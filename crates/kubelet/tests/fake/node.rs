//! The node itself: registration, status, lease.

use crate::Node;
use serde_json::{Value, json};
use std::time::Duration;

fn node_object(node: &Node) -> Value {
    node.api.get("nodes", "", "node1").unwrap_or_default()
}

fn ready(node: &Node) -> Value {
    let object = node_object(node);
    let conditions = object["status"]["conditions"].as_array().cloned();
    let mut conditions = conditions.unwrap_or_default().into_iter();
    conditions
        .find(|c| c["type"] == "Ready")
        .unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_node_registers_and_reports() {
    let node = Node::new().await;
    node.until_true("ready", || node.handle.is_ready()).await;
    let object = node_object(&node);
    assert_eq!(
        object["metadata"]["labels"]["kubernetes.io/hostname"],
        "node1"
    );
    let status = &object["status"];
    assert_eq!(status["capacity"]["cpu"], "4");
    assert_eq!(status["capacity"]["memory"], "8Gi");
    assert_eq!(status["allocatable"]["memory"], "8092Mi");
    assert_eq!(status["capacity"]["pods"], "110");
    assert_eq!(
        status["addresses"][0],
        json!({"type": "InternalIP", "address": "192.0.2.1"})
    );
    let info = &status["nodeInfo"];
    assert_eq!(info["kubeletVersion"], "v1.37.0+tiphys");
    assert!(
        info["containerRuntimeVersion"]
            .as_str()
            .unwrap()
            .starts_with("fake://")
    );
    assert_eq!(status["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
    let ready = ready(&node);
    assert_eq!(
        (&ready["reason"], &ready["message"]),
        (
            &json!("KubeletReady"),
            &json!("kubelet is posting ready status")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_network_is_not_ready() {
    let node = Node::new().await;
    node.network.set_unready(Some("no pod CIDR"));
    node.clock.sleep(Duration::from_secs(11)).await;
    let verdict = ready(&node);
    assert_eq!(
        (&verdict["status"], &verdict["reason"]),
        (&json!("False"), &json!("KubeletNotReady"))
    );
    assert_eq!(
        verdict["message"],
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no pod CIDR"
    );
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed() {
    let node = Node::new().await;
    let renewed = || {
        let lease = node.api.get("leases", "kube-node-lease", "node1");
        lease.map(|lease| lease["spec"]["renewTime"].clone())
    };
    node.until_true("a lease", || renewed().is_some()).await;
    let first = renewed();
    node.clock.sleep(Duration::from_secs(11)).await;
    assert_ne!(renewed(), first);
    let lease = node.api.get("leases", "kube-node-lease", "node1").unwrap();
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
    assert_eq!(lease["metadata"]["ownerReferences"][0]["name"], "node1");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_status_is_written_seldom() {
    let node = Node::new().await;
    node.until_true("ready", || node.handle.is_ready()).await;
    node.clock.sleep(Duration::from_secs(60)).await;
    node.api.take_writes();
    node.clock.sleep(Duration::from_secs(120)).await;
    let writes = node.api.take_writes();
    let statuses = writes
        .iter()
        .filter(|write| write.contains("nodes/node1/status"));
    assert_eq!(statuses.count(), 0);
    node.clock.sleep(Duration::from_secs(300)).await;
    let writes = node.api.take_writes();
    let statuses = writes
        .iter()
        .filter(|write| write.contains("nodes/node1/status"));
    assert_eq!(statuses.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_a_newer_node_is_taken() {
    let node = Node::new().await;
    node.until_true("ready", || node.handle.is_ready()).await;
    let spec = json!({"nodeSelector": {"colour": "blue"}, "containers": [{"name": "main", "image": "web"}]});
    // The pod comes before the label that it was placed by.
    node.pod("blue", spec.clone());
    node.api.edit("nodes", "", "node1", |node| {
        node["metadata"]["labels"]["colour"] = json!("blue");
    });
    node.until("blue", "running", |pod| pod["status"]["phase"] == "Running")
        .await;
    let mut red = spec;
    red["nodeSelector"]["colour"] = json!("red");
    node.pod("red", red);
    let red = node
        .until("red", "failed", |pod| pod["status"]["phase"] == "Failed")
        .await;
    assert_eq!(red["status"]["reason"], "NodeAffinity");
}
