//! Kubelets that die at any moment, by seed: what they leave is taken over, and
//! the node comes to be as it should.

use crate::{Below, Node, one};
use container::Runtime;
use container::fake::Script;
use container::status::{ContainerFilter, ContainerState, SandboxFilter, SandboxState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Rng;

const SEEDS: u64 = 15;
const LIVES: u64 = 6;

fn shape(rng: &Rng) -> Value {
    let mut spec = one(json!({"livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}));
    if rng.below(2) == 0 {
        spec["initContainers"] = json!([
            {"name": "side", "image": "busybox", "restartPolicy": "Always"},
            {"name": "init", "image": "busybox"},
        ]);
    }
    spec["terminationGracePeriodSeconds"] = json!(rng.below(3));
    spec
}

/// Something happens to the node.
async fn mishap(node: &Node, rng: &Rng, pods: &mut Vec<String>, count: &mut u32) {
    let filter = ContainerFilter {
        state: Some(ContainerState::Running),
        ..ContainerFilter::default()
    };
    let running = node.runtime.list_containers(&filter).await.unwrap();
    let victim = rng.choose(&running);
    match (rng.below(4), victim) {
        (0, Some(victim)) => node.runtime.exit(&victim.id, 1),
        (1, Some(victim)) => node.runtime.crash_sandbox(&victim.sandbox_id),
        (2, _) if pods.len() > 1 => {
            let gone = pods.remove(0);
            node.api.remove("pods", "default", &gone);
        }
        _ => {
            *count += 1;
            let name = format!("p{count}");
            node.pod(&name, shape(rng));
            pods.push(name);
        }
    }
}

async fn check(node: &Node, pods: &[String]) {
    let sandboxes = node
        .runtime
        .list_sandboxes(&SandboxFilter::default())
        .await
        .unwrap();
    let filter = ContainerFilter {
        state: Some(ContainerState::Running),
        ..ContainerFilter::default()
    };
    let running = node.runtime.list_containers(&filter).await.unwrap();
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    for container in running {
        let pod = container.labels["io.kubernetes.pod.name"].clone();
        *counts.entry((pod, container.name)).or_default() += 1;
    }
    for ((pod, name), count) in &counts {
        assert!(pods.contains(pod), "{name} of {pod} runs, which is gone");
        assert_eq!(*count, 1, "{name} of {pod} runs more than once");
    }
    for pod in pods {
        let own = sandboxes
            .iter()
            .filter(|sandbox| sandbox.name == *pod && sandbox.state == SandboxState::Ready);
        assert_eq!(own.count(), 1, "{pod} has one sandbox");
        assert!(
            counts.contains_key(&(pod.clone(), "a".into())),
            "a of {pod} runs"
        );
    }
    let unknown = sandboxes
        .iter()
        .filter(|sandbox| !pods.contains(&sandbox.name));
    assert_eq!(unknown.count(), 0, "no sandbox of a pod that is gone");
}

async fn run(seed: u64) {
    let rng = Rng::seeded(seed);
    let mut below = Below::new();
    let slow = |exit| Script {
        start_delay: Duration::from_millis(300),
        exit,
        ..Script::default()
    };
    below.runtime.script("init", slow(Some(0)));
    below.runtime.script("side", slow(None));
    below.runtime.script("a", slow(None));
    let (mut pods, mut count) = (Vec::new(), 0);
    for life in 0..LIVES {
        let node = below.start_seeded(seed * 100 + life).await;
        for _ in 0..rng.below(4) {
            mishap(&node, &rng, &mut pods, &mut count).await;
            node.clock
                .sleep(Duration::from_millis(rng.below(900)))
                .await;
        }
        below = node.stop().await;
    }
    let node = below.start_seeded(seed).await;
    for pod in &pods {
        node.until_ready(pod).await;
    }
    node.until_true("others end", || node.handle.pod_count() == pods.len())
        .await;
    check(&node, &pods).await;
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_dies_the_node_comes_to_be_as_it_should() {
    for seed in 0..SEEDS {
        eprintln!("seed {seed}");
        run(seed).await;
    }
}
