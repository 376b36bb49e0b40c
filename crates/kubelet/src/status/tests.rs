//! Statuses made from what was observed.

use super::*;
use crate::testing::{decode, pod};
use container::status::{ContainerStatus as RuntimeStatus, SandboxState, SandboxStatus};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

struct AllWell;

impl Readings for AllWell {
    fn started(&self, _uid: &str, _container: &str, _id: &str) -> bool {
        true
    }

    fn ready(&self, _uid: &str, _container: &str, _id: &str) -> bool {
        true
    }
}

fn container(name: &str, attempt: u32, state: RuntimeState, code: i32) -> RuntimeStatus {
    let second = 1_000_000_000;
    let at = i64::from(attempt) * 100 * second;
    RuntimeStatus {
        id: format!("{name}{attempt}"),
        sandbox_id: "s0".into(),
        name: name.into(),
        attempt,
        state,
        created_ns: at,
        started_ns: Some(at + second),
        finished_ns: (state == RuntimeState::Exited).then_some(at + 10 * second),
        exit_code: code,
        signal: None,
        reason: match (state, code) {
            (RuntimeState::Exited, 0) => "Completed".into(),
            (RuntimeState::Exited, _) => "Error".into(),
            _ => String::new(),
        },
        message: String::new(),
        image: "image".into(),
        image_ref: "sha256:1".into(),
        pid: None,
        log_path: None,
        labels: Default::default(),
        annotations: Default::default(),
        resources: Default::default(),
        user: None,
    }
}

fn observed(mut containers: Vec<RuntimeStatus>) -> Observed {
    containers.sort_by_key(|c| std::cmp::Reverse(c.created_ns));
    Observed {
        sandboxes: vec![SandboxStatus {
            id: "s0".into(),
            name: "web".into(),
            namespace: "default".into(),
            uid: "u".into(),
            attempt: 0,
            state: SandboxState::Ready,
            created_ns: 0,
            netns: None,
            cgroup_parent: String::new(),
            labels: Default::default(),
            annotations: Default::default(),
            monitor_pid: None,
        }],
        containers,
        ips: vec!["10.42.0.2".into()],
    }
}

fn generated(pod: &Pod, observed: &Observed, failures: &ContainerFailures) -> PodStatus {
    let hosts = ["192.0.2.1".to_owned()];
    let facts = Facts {
        runtime: "tiphys",
        failures,
        messages: &HashMap::new(),
        probes: &AllWell,
        host_ips: &hosts,
        now: Timestamp::from_second(1000).unwrap(),
        is_terminal: false,
        verdict: None,
        is_disrupted: false,
    };
    let old = pod.status.clone().unwrap_or_default();
    generate(pod, &old, observed, &facts)
}

/// The lines that people look at.
fn check(pod: &Pod, observed: &Observed, failures: &[(&str, &str)], after: Expect) {
    let failures = failures
        .iter()
        .map(|(name, reason)| ((*name).to_owned(), Failure::new(reason, "why")))
        .collect();
    let status = generated(pod, observed, &failures);
    let mut lines = vec![format!(
        "{} {}",
        status.phase.unwrap_or_default(),
        status.pod_ip.unwrap_or_default()
    )];
    for condition in status.conditions.iter().flatten() {
        let reason = condition.reason.clone().unwrap_or_default();
        let message = condition.message.clone().unwrap_or_default();
        let line = format!(
            "{}={} {reason} {message}",
            condition.type_, condition.status
        );
        lines.push(line.trim_end().to_owned());
    }
    let all = status.init_container_statuses.iter().flatten();
    for status in all.chain(status.container_statuses.iter().flatten()) {
        let state = |state: &Option<typed::api::core::v1::ContainerState>| {
            let state = state.clone().unwrap_or_default();
            let waiting = state
                .waiting
                .map(|w| format!("waiting {}", w.reason.unwrap_or_default()));
            let ended = state
                .terminated
                .map(|t| format!("ended {} {}", t.exit_code, t.reason.unwrap_or_default()));
            let running = state.running.map(|_| "running".to_owned());
            waiting
                .or(ended)
                .or(running)
                .unwrap_or_else(|| "-".to_owned())
        };
        lines.push(format!(
            "{}: {} (before: {}) ready={} restarts={}",
            status.name,
            state(&status.state),
            state(&status.last_state),
            status.ready,
            status.restart_count
        ));
    }
    after.assert_eq(&lines.join("\n"));
}

fn two() -> Pod {
    pod(json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}))
}

#[test]
fn a_new_pod() {
    let none = Observed::default();
    check(
        &two(),
        &none,
        &[],
        expect![[r#"
        Pending 
        PodReadyToStartContainers=False
        Initialized=True
        Ready=False ContainersNotReady containers with unready status: [a b]
        ContainersReady=False ContainersNotReady containers with unready status: [a b]
        PodScheduled=True
        a: waiting ContainerCreating (before: -) ready=false restarts=0
        b: waiting ContainerCreating (before: -) ready=false restarts=0"#]],
    );
    let failures = [("a", "ErrImagePull")];
    check(
        &two(),
        &observed(vec![]),
        &failures,
        expect![[r#"
        Pending 10.42.0.2
        PodReadyToStartContainers=True
        Initialized=True
        Ready=False ContainersNotReady containers with unready status: [a b]
        ContainersReady=False ContainersNotReady containers with unready status: [a b]
        PodScheduled=True
        a: waiting ErrImagePull (before: -) ready=false restarts=0
        b: waiting ContainerCreating (before: -) ready=false restarts=0"#]],
    );
}

#[test]
fn running_and_crashing() {
    let running = |name| container(name, 0, RuntimeState::Running, 0);
    let seen = observed(vec![running("a"), running("b")]);
    check(
        &two(),
        &seen,
        &[],
        expect![[r#"
        Running 10.42.0.2
        PodReadyToStartContainers=True
        Initialized=True
        Ready=True
        ContainersReady=True
        PodScheduled=True
        a: running (before: -) ready=true restarts=0
        b: running (before: -) ready=true restarts=0"#]],
    );
    let ended = |attempt| container("b", attempt, RuntimeState::Exited, 1);
    let seen = observed(vec![running("a"), ended(1), ended(2)]);
    check(
        &two(),
        &seen,
        &[("b", "CrashLoopBackOff")],
        expect![[r#"
        Running 10.42.0.2
        PodReadyToStartContainers=True
        Initialized=True
        Ready=False ContainersNotReady containers with unready status: [b]
        ContainersReady=False ContainersNotReady containers with unready status: [b]
        PodScheduled=True
        a: running (before: -) ready=true restarts=0
        b: waiting CrashLoopBackOff (before: ended 1 Error) ready=false restarts=2"#]],
    );
}

#[test]
fn initialisation() {
    let pod = pod(json!({
        "initContainers": [{"name": "i", "image": "i"}], "containers": [{"name": "a", "image": "i"}]
    }));
    let seen = observed(vec![container("i", 0, RuntimeState::Running, 0)]);
    check(
        &pod,
        &seen,
        &[],
        expect![[r#"
        Pending 10.42.0.2
        PodReadyToStartContainers=True
        Initialized=False ContainersNotInitialized containers with incomplete status: [i]
        Ready=False ContainersNotReady containers with unready status: [a]
        ContainersReady=False ContainersNotReady containers with unready status: [a]
        PodScheduled=True
        i: running (before: -) ready=false restarts=0
        a: waiting PodInitializing (before: -) ready=false restarts=0"#]],
    );
}

#[test]
fn completed() {
    let pod = pod(json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}));
    let seen = observed(vec![container("a", 0, RuntimeState::Exited, 0)]);
    check(
        &pod,
        &seen,
        &[],
        expect![[r#"
        Succeeded 10.42.0.2
        PodReadyToStartContainers=True
        Initialized=True PodCompleted
        Ready=False PodCompleted
        ContainersReady=False PodCompleted
        PodScheduled=True
        a: ended 0 Completed (before: -) ready=false restarts=0"#]],
    );
}

#[test]
fn gates_and_others_conditions_stay() {
    let pod = decode(json!({
        "metadata": {"name": "web", "uid": "u"},
        "spec": {
            "readinessGates": [{"conditionType": "x/gate"}, {"conditionType": "y/gate"}],
            "containers": [{"name": "a", "image": "i"}],
        },
        "status": {"conditions": [{"type": "x/gate", "status": "False"}]},
    }));
    let seen = observed(vec![container("a", 0, RuntimeState::Running, 0)]);
    let status = generated(&pod, &seen, &ContainerFailures::new());
    let ready = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "Ready");
    assert_eq!(
        ready.unwrap().message.as_deref(),
        Some(
            "the status of pod readiness gate \"x/gate\" is not \"True\", but False, \
             corresponding condition of pod readiness gate \"y/gate\" does not exist."
        )
    );
    assert!(
        status
            .conditions
            .iter()
            .flatten()
            .any(|c| c.type_ == "x/gate")
    );
}

#[test]
fn what_was_running_and_is_gone_was_lost() {
    let old: Value = json!([{
        "name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 3,
        "containerID": "tiphys://old", "state": {"running": {}},
    }]);
    let pod = decode(json!({
        "metadata": {"name": "web", "uid": "u"},
        "spec": {"containers": [{"name": "a", "image": "i"}]},
        "status": {"phase": "Running", "containerStatuses": old},
    }));
    check(
        &pod,
        &Observed::default(),
        &[],
        expect![[r#"
        Running 
        PodReadyToStartContainers=False
        Initialized=True
        Ready=False ContainersNotReady containers with unready status: [a]
        ContainersReady=False ContainersNotReady containers with unready status: [a]
        PodScheduled=True
        a: waiting ContainerCreating (before: ended 137 ContainerStatusUnknown) ready=false restarts=4"#]],
    );
}
