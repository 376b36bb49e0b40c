//! Machines that run short of memory or disk.

use crate::{Node, one};
use container::Runtime;
use container::fake::Script;
use container::status::SandboxFilter;
use kubelet::doors::StoredImage;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned();
    let mut conditions = conditions.unwrap_or_default().into_iter();
    conditions.find(|c| c["type"] == kind).unwrap_or_default()
}

impl Node {
    async fn until_pressure(&self, kind: &str, status: &str) {
        self.until_true(&format!("{kind} is {status}"), || {
            let node = self.api.get("nodes", "", "node1").unwrap_or_default();
            condition(&node, kind)["status"] == status
        })
        .await;
    }

    fn phase(&self, name: &str) -> String {
        let pod = self.get(name).expect("the pod");
        pod["status"]["phase"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

fn asking(priority: i32) -> Value {
    let mut spec = one(json!({"resources": {"requests": {"memory": "1Mi"}}}));
    spec["priority"] = json!(priority);
    spec
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_memory_evicts_one_pod_at_a_time() {
    let node = Node::new().await;
    node.pod("important", asking(1000));
    node.pod("needed", asking(2_000_000_000));
    node.pod("ordinary", asking(0));
    for name in ["important", "needed", "ordinary"] {
        node.until_ready(name).await;
    }
    node.until_pressure("MemoryPressure", "False").await;
    node.machine
        .memory_available
        .store(50 * MIB, Ordering::Relaxed);
    let pod = node.until_phase("ordinary", "Failed").await;
    assert_eq!(node.phase("important"), "Running");
    // Enough is free again before the next one would have to go.
    node.machine.memory_available.store(GIB, Ordering::Relaxed);
    let said = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ";
    assert_eq!(pod["status"]["reason"], "Evicted");
    assert_eq!(pod["status"]["message"], said);
    let disruption = condition(&pod, "DisruptionTarget");
    assert_eq!(disruption["reason"], "TerminationByKubelet");
    assert_eq!(disruption["message"], said);
    assert!(node.has_event(&format!("Warning Evicted ordinary: {said}")));
    assert!(node.has_event("Warning EvictionThresholdMet node1: Attempting to reclaim memory"));
    node.until_pressure("MemoryPressure", "True").await;
    // New pods that ask for nothing are turned away as long as that is so.
    node.pod("late", one(json!({})));
    let late = node.until_phase("late", "Failed").await;
    assert_eq!(late["status"]["reason"], "Evicted");
    assert_eq!(
        late["status"]["message"],
        "Pod was rejected: The node had condition: [MemoryPressure]. "
    );
    node.until_pressure("MemoryPressure", "False").await;
    assert_eq!(node.phase("important"), "Running");
    assert_eq!(node.phase("needed"), "Running");
}

#[tokio::test(start_paused = true)]
async fn who_is_needed_stays_whatever_is_short() {
    let node = Node::new().await;
    node.pod("needed", asking(2_000_000_000));
    node.until_ready("needed").await;
    node.machine.memory_available.store(MIB, Ordering::Relaxed);
    node.until_pressure("MemoryPressure", "True").await;
    let attempts = || {
        let lines = node.events.lines();
        let met = lines
            .iter()
            .filter(|line| line.contains("EvictionThresholdMet"));
        met.count()
    };
    node.until_true("several attempts", || attempts() > 2).await;
    assert_eq!(node.phase("needed"), "Running");
}

#[tokio::test(start_paused = true)]
async fn dead_containers_go_before_pods() {
    let node = Node::new().await;
    let script = Script {
        exit: Some(3),
        ..Script::default()
    };
    node.runtime.script("b", script);
    let mut ends = one(json!({"name": "b"}));
    ends["restartPolicy"] = json!("Never");
    node.pod("ended", ends);
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let ended = node.until_phase("ended", "Failed").await;
    let uid = node.uid("ended");
    // It is kept for its logs, until the disk is short.
    node.clock.sleep(std::time::Duration::from_secs(300)).await;
    assert!(node.runtime.find(&uid, "b").is_some());
    let (runtime, gone) = (node.runtime.clone(), uid.clone());
    node.machine
        .fill_disk_until(move || runtime.find(&gone, "b").is_none());
    node.until_pressure("DiskPressure", "True").await;
    node.until_pressure("DiskPressure", "False").await;
    assert_eq!(node.phase("web"), "Running");
    let left = node.runtime.list_sandboxes(&SandboxFilter::default()).await;
    assert!(left.unwrap().iter().all(|sandbox| sandbox.name == "web"));
    let now = node.get("ended").unwrap();
    assert_eq!(now["status"], ended["status"]);
}

#[tokio::test(start_paused = true)]
async fn unused_images_go_before_pods() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let image = |id: &str, in_use: bool| StoredImage {
        id: id.to_owned(),
        size: GIB,
        in_use,
        pinned: false,
    };
    *node.images.stored.lock().unwrap() = vec![image("used", true), image("idle", false)];
    // The collector knows them for long enough by then.
    node.clock.sleep(std::time::Duration::from_secs(910)).await;
    let images = node.images.clone();
    let has_gone = move || {
        let left = images.stored.lock().unwrap();
        left.iter().map(|image| image.id.as_str()).eq(["used"])
    };
    node.machine.fill_disk_until(has_gone.clone());
    node.until_true("the idle image goes", has_gone).await;
    assert!(
        node.has_event(
            "Warning EvictionThresholdMet node1: Attempting to reclaim ephemeral-storage"
        )
    );
    node.until_pressure("DiskPressure", "True").await;
    node.until_pressure("DiskPressure", "False").await;
    assert_eq!(node.phase("web"), "Running");
}
