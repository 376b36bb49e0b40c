//! Pods that end: by themselves, by deletion, by force, by the node.

use crate::{Below, Node, one};
use container::Runtime;
use container::fake::Script;
use container::status::{ContainerFilter, SandboxFilter};
use serde_json::json;
use std::time::Duration;

async fn sandboxes(node: &Node) -> usize {
    let filter = SandboxFilter::default();
    node.runtime.list_sandboxes(&filter).await.unwrap().len()
}

fn delete(node: &Node, name: &str, grace: i64) {
    node.api.edit("pods", "default", name, |pod| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-11-20T17:31:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        // Stands for the API server, which keeps a bound pod until its node has let go.
        pod["metadata"]["finalizers"] = json!(["test/wait"]);
    });
}

fn release(node: &Node, name: &str) {
    if node.get(name).is_some() {
        node.api.edit("pods", "default", name, |pod| {
            pod["metadata"]["finalizers"] = json!([]);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_completed_pod_keeps_its_dead_container() {
    let node = Node::new().await;
    let mut spec = one(json!({}));
    spec["restartPolicy"] = json!("Never");
    node.pod("job", spec);
    node.until_ready("job").await;
    node.runtime.exit(&node.container("job", "a"), 0);
    let pod = node.until_phase("job", "Succeeded").await;
    assert_eq!(pod["status"]["podIP"], "10.42.0.2");
    node.until_true("its sandbox stops", || {
        node.runtime
            .calls()
            .iter()
            .any(|call| call.starts_with("stop_sandbox"))
    })
    .await;
    let filter = ContainerFilter::default();
    let left = node.runtime.list_containers(&filter).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_stopped_cleaned_up_and_let_go() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    delete(&node, "web", 30);
    let pod = node.until_phase("web", "Failed").await;
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["exitCode"], 143);
    assert!(node.has_event("Normal Killing web: Stopping container a"));
    node.until_true("the deletion", || {
        node.api
            .take_writes()
            .iter()
            .any(|write| write.starts_with("DELETE /api/v1/namespaces/default/pods/web"))
    })
    .await;
    assert_eq!(sandboxes(&node).await, 0);
    release(&node, "web");
    node.until_gone("web").await;
    node.until_true("its worker ends", || node.handle.pod_count() == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_deaf_container_is_killed_when_its_grace_is_over() {
    let node = Node::new().await;
    let script = Script {
        ignore_stop: true,
        ..Script::default()
    };
    node.runtime.script("a", script);
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let begin = node.clock.now();
    delete(&node, "web", 30);
    node.until_phase("web", "Failed").await;
    assert_eq!(node.clock.since(begin).as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_grace_counts_at_once() {
    let node = Node::new().await;
    let script = Script {
        ignore_stop: true,
        ..Script::default()
    };
    node.runtime.script("a", script);
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let begin = node.clock.now();
    delete(&node, "web", 600);
    node.clock.sleep(Duration::from_secs(5)).await;
    delete(&node, "web", 3);
    node.until_phase("web", "Failed").await;
    assert!(node.clock.since(begin) < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_forced_deletion_ends_what_runs() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    node.api.remove("pods", "default", "web");
    node.until_true("its worker ends", || node.handle.pod_count() == 0)
        .await;
    assert_eq!(sandboxes(&node).await, 0);
}

#[tokio::test(start_paused = true)]
async fn sidecars_end_last_and_hooks_come_first() {
    let node = Node::new().await;
    let hook = json!({"lifecycle": {"preStop": {"exec": {"command": ["bye"]}}}});
    let mut spec = one(hook);
    spec["initContainers"] = json!([
        {"name": "s1", "image": "busybox", "restartPolicy": "Always"},
        {"name": "s2", "image": "busybox", "restartPolicy": "Always"},
    ]);
    node.pod("web", spec);
    node.until_ready("web").await;
    let before = node.runtime.calls().len();
    delete(&node, "web", 30);
    node.until_phase("web", "Failed").await;
    let calls: Vec<String> = node.runtime.calls().split_off(before);
    let ends: Vec<&str> = calls
        .iter()
        .map(String::as_str)
        .filter(|call| call.starts_with("exec") || call.starts_with("stop_container"))
        .collect();
    assert_eq!(
        ends,
        [
            "exec a bye",
            "stop_container a",
            "stop_container s2",
            "stop_container s1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_past_its_deadline_fails() {
    let node = Node::new().await;
    let mut spec = one(json!({}));
    spec["activeDeadlineSeconds"] = json!(60);
    node.pod("job", spec);
    node.until_ready("job").await;
    let pod = node.until_phase("job", "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    assert_eq!(
        pod["status"]["message"],
        "Pod was active on the node longer than the specified deadline"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_is_rejected() {
    let node = Node::new().await;
    node.pod("big", one(json!({"resources": {"requests": {"cpu": "5"}}})));
    let pod = node.until_phase("big", "Failed").await;
    assert_eq!(pod["status"]["reason"], "OutOfcpu");
    assert_eq!(
        pod["status"]["message"],
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000"
    );
    assert!(pod["status"]["containerStatuses"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_new_kubelet_adopts_what_runs() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    node.runtime.exit(&node.container("web", "a"), 1);
    let is_so = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1 && crate::is_ready(pod)
    };
    node.until("web", "restarted", is_so).await;
    let running = node.container("web", "a");
    let below: Below = node.stop().await;
    let node = below.start().await;
    node.until_true("its worker", || node.handle.pod_count() == 1)
        .await;
    node.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!(node.container("web", "a"), running, "nothing was restarted");
    let pod = node.until_ready("web").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_kubelet_ends_what_nobody_knows() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let below = node.stop().await;
    below.api.remove("pods", "default", "web");
    // Of another all but its logs is gone.
    let logs = below.temp.path().join("logs");
    std::fs::create_dir_all(logs.join("default_old_5d1c/main")).unwrap();
    let node = below.start().await;
    node.until_true("the sandbox is gone", || {
        node.runtime
            .calls()
            .iter()
            .any(|call| call == "stop_container a")
    })
    .await;
    node.until_true("no worker is left", || node.handle.pod_count() == 0)
        .await;
    assert_eq!(sandboxes(&node).await, 0);
    let pods = node.temp.path().join("pods");
    assert_eq!(std::fs::read_dir(pods).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(logs).unwrap().count(), 0);
}
