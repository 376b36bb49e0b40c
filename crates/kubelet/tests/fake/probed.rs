//! Probes and hooks, and what follows from them.

use crate::{Node, condition, is_ready, one};
use container::runtime::ExecOutput;
use kubelet::probes::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

fn failure() -> Outcome {
    Outcome::Failure("no".into())
}

#[tokio::test(start_paused = true)]
async fn readiness_comes_and_goes() {
    let node = Node::new().await;
    node.prober.answer("a", failure());
    node.pod(
        "web",
        one(json!({"readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5}})),
    );
    let pod = node.until_phase("web", "Running").await;
    assert!(!is_ready(&pod));
    node.until_true("the event", || {
        node.has_event("Warning Unhealthy web: Readiness probe failed: no")
    })
    .await;
    node.prober.answer("a", Outcome::Success);
    node.until_ready("web").await;
    node.prober.answer("a", failure());
    let begin = node.clock.now();
    let pod = node.until("web", "unready", |pod| !is_ready(pod)).await;
    let waited = node.clock.since(begin);
    assert!(
        waited > Duration::from_secs(9),
        "three failures: {waited:?}"
    );
    assert_eq!(condition(&pod, "ContainersReady"), Some("False".into()));
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_container_is_restarted() {
    let node = Node::new().await;
    node.pod(
        "web",
        one(json!({"livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 3}})),
    );
    node.until_ready("web").await;
    node.prober.answer("a", failure());
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    node.until("web", "restarted", restarted).await;
    assert!(
        node.has_event("Normal Killing web: Container a failed liveness probe, will be restarted")
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_start() {
    let node = Node::new().await;
    node.prober.answer("a", failure());
    let probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 30});
    node.pod(
        "web",
        one(json!({"startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe})),
    );
    node.until_phase("web", "Running").await;
    node.clock.sleep(Duration::from_secs(5)).await;
    let pod = node.get("web").unwrap();
    assert_eq!(pod["status"]["containerStatuses"][0]["started"], false);
    assert!(!node.has_event("Liveness"));
    node.prober.answer("a", Outcome::Success);
    node.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_never_starts_is_restarted() {
    let node = Node::new().await;
    node.prober.answer("a", failure());
    let probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 5});
    node.pod("web", one(json!({"startupProbe": probe})));
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    node.until("web", "restarted", restarted).await;
    assert!(
        node.has_event("Normal Killing web: Container a failed startup probe, will be restarted")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_hook_after_the_start_kills() {
    let node = Node::new().await;
    let output = ExecOutput {
        exit_code: 1,
        ..ExecOutput::default()
    };
    node.runtime.script_exec("a", &["hello"], output);
    node.pod(
        "web",
        one(json!({"lifecycle": {"postStart": {"exec": {"command": ["hello"]}}}})),
    );
    let waits = |pod: &Value| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        state["reason"] == "PostStartHookError" || state["reason"] == "CrashLoopBackOff"
    };
    node.until("web", "waiting", waits).await;
    assert!(node.has_event("Warning FailedPostStartHook web: PostStartHook failed"));
    node.runtime
        .script_exec("a", &["hello"], ExecOutput::default());
    node.until_ready("web").await;
}
