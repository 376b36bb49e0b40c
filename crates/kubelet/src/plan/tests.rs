//! Cases of [`plan`]: a pod and what is there, in; steps, out.

use super::*;
use crate::testing::pod;
use container::status::SandboxStatus;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// A container as `name:state[:code]`; a trailing `@old` puts it into an earlier sandbox.
fn status(text: &str, index: usize) -> ContainerStatus {
    let (text, sandbox) = match text.strip_suffix("@old") {
        Some(text) => (text, "s-old"),
        None => (text, "s0"),
    };
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let state = match parts.next() {
        Some("run") => ContainerState::Running,
        Some("exit") => ContainerState::Exited,
        Some("unknown") => ContainerState::Unknown,
        _ => ContainerState::Created,
    };
    let code = parts.next().and_then(|code| code.parse().ok()).unwrap_or(0);
    ContainerStatus {
        id: format!("{name}-{index}"),
        sandbox_id: sandbox.to_owned(),
        name: name.to_owned(),
        attempt: 0,
        state,
        created_ns: -(index as i64),
        started_ns: None,
        finished_ns: None,
        exit_code: code,
        signal: None,
        reason: String::new(),
        message: String::new(),
        image: String::new(),
        image_ref: String::new(),
        pid: None,
        log_path: None,
        labels: Default::default(),
        annotations: Default::default(),
        resources: Default::default(),
        user: None,
    }
}

fn sandbox(state: SandboxState) -> SandboxStatus {
    SandboxStatus {
        id: "s0".into(),
        name: "web".into(),
        namespace: "default".into(),
        uid: "u".into(),
        attempt: 0,
        state,
        created_ns: 1,
        netns: None,
        cgroup_parent: String::new(),
        labels: Default::default(),
        annotations: Default::default(),
        monitor_pid: None,
    }
}

fn line(action: &Action) -> String {
    match action {
        Action::KillPod { sandbox_changed } => {
            format!(
                "kill pod{}",
                if *sandbox_changed {
                    " for a new sandbox"
                } else {
                    ""
                }
            )
        }
        Action::PurgeInit => "purge init".into(),
        Action::Kill {
            id,
            message,
            reason,
            ..
        } => format!("kill {id} {reason:?}: {message}"),
        Action::Volumes => "volumes".into(),
        Action::Sandbox { attempt, .. } => format!("sandbox {attempt}"),
        Action::Start { kind, name } => format!("start {kind:?} {name}"),
    }
}

struct Case {
    spec: Value,
    sandbox: Option<SandboxState>,
    probes: ProbeResults,
}

fn case(spec: Value) -> Case {
    Case {
        spec,
        sandbox: Some(SandboxState::Ready),
        probes: ProbeResults::default(),
    }
}

impl Case {
    fn sandbox(mut self, state: Option<SandboxState>) -> Case {
        self.sandbox = state;
        self
    }

    fn startup(mut self, id: &str, ok: bool) -> Case {
        self.probes.startup.insert(id.into(), ok);
        self
    }

    fn liveness(mut self, id: &str, ok: bool) -> Case {
        self.probes.liveness.insert(id.into(), ok);
        self
    }

    fn check(self, containers: &str, after: Expect) {
        let observed = Observed {
            sandboxes: self.sandbox.map(sandbox).into_iter().collect(),
            containers: containers
                .split_whitespace()
                .enumerate()
                .map(|(index, text)| status(text, index))
                .collect(),
            ips: vec!["10.42.0.2".into()],
        };
        let actions = plan(&pod(self.spec), &observed, &self.probes);
        let lines: Vec<String> = actions.iter().map(line).collect();
        after.assert_eq(&lines.join("\n"));
    }
}

fn two(policy: &str) -> Value {
    json!({"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]})
}

#[test]
fn a_new_pod_starts_everything() {
    case(two("Always")).sandbox(None).check(
        "",
        expect![[r#"
            volumes
            sandbox 0
            start Regular a
            start Regular b"#]],
    );
    case(two("Always")).check("a:run b:run", expect![""]);
}

#[test]
fn ended_containers_follow_the_policy() {
    case(two("Always")).check(
        "a:exit:0 b:run",
        expect![[r#"
            volumes
            start Regular a"#]],
    );
    case(two("OnFailure")).check("a:exit:0 b:run", expect![""]);
    case(two("OnFailure")).check(
        "a:exit:1 b:run",
        expect![[r#"
            volumes
            start Regular a"#]],
    );
    case(two("Never")).check("a:exit:1 b:run", expect![""]);
    case(two("Never")).check("a:exit:1 b:exit:0", expect!["kill pod"]);
    case(two("OnFailure")).check("a:exit:0 b:exit:0", expect!["kill pod"]);
}

#[test]
fn a_lost_sandbox_is_replaced() {
    let lost = Some(SandboxState::NotReady);
    case(two("Always")).sandbox(lost).check(
        "a:exit:137 b:exit:137",
        expect![[r#"
            kill pod for a new sandbox
            purge init
            volumes
            sandbox 1
            start Regular a
            start Regular b"#]],
    );
    case(two("OnFailure")).sandbox(lost).check(
        "a:exit:137 b:exit:0",
        expect![[r#"
            kill pod for a new sandbox
            purge init
            volumes
            sandbox 1
            start Regular a"#]],
    );
    case(two("Never"))
        .sandbox(lost)
        .check("a:exit:137 b:exit:0", expect!["kill pod"]);
    case(two("OnFailure"))
        .sandbox(lost)
        .check("a:exit:0 b:exit:0", expect!["kill pod"]);
}

#[test]
fn failed_probes_kill() {
    case(two("Always")).liveness("a-0", false).check(
        "a:run b:run",
        expect![[r#"
            kill a-0 Liveness: Container a failed liveness probe, will be restarted
            volumes
            start Regular a"#]],
    );
    case(two("Never")).startup("a-0", false).check(
        "a:run b:run",
        expect!["kill a-0 Startup: Container a failed startup probe"],
    );
}

fn with_init(policy: &str, init: Value) -> Value {
    json!({"restartPolicy": policy, "initContainers": init, "containers": [{"name": "a"}]})
}

#[test]
fn init_containers_run_one_after_the_other() {
    let spec = || with_init("Always", json!([{"name": "i1"}, {"name": "i2"}]));
    case(spec()).sandbox(None).check(
        "",
        expect![[r#"
            volumes
            sandbox 0
            start Init i1"#]],
    );
    case(spec()).check(
        "",
        expect![[r#"
            volumes
            start Init i1"#]],
    );
    case(spec()).check("i1:run", expect![""]);
    case(spec()).check(
        "i1:exit:0",
        expect![[r#"
            volumes
            start Init i2"#]],
    );
    case(spec()).check(
        "i2:exit:1 i1:exit:0",
        expect![[r#"
            volumes
            start Init i2"#]],
    );
    case(spec()).check(
        "i2:exit:0 i1:exit:0",
        expect![[r#"
            volumes
            start Regular a"#]],
    );
    case(spec()).check("a:run", expect![""]);
    let never = with_init("Never", json!([{"name": "i1"}]));
    case(never).check("i1:exit:1", expect!["kill pod"]);
    // Containers of an earlier sandbox do not count as initialisation.
    case(spec()).check(
        "a:exit:0@old i2:exit:0@old",
        expect![[r#"
            volumes
            start Init i1"#]],
    );
}

#[test]
fn sidecars_start_in_turn_and_stay() {
    let init = json!([
        {"name": "s", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["x"]}}},
        {"name": "i"},
    ]);
    let spec = || with_init("Always", init.clone());
    case(spec()).check("s:run", expect![""]);
    case(spec()).startup("s-0", true).check(
        "s:run",
        expect![[r#"
            volumes
            start Init i"#]],
    );
    case(spec()).startup("s-0", false).check(
        "s:run",
        expect![[r#"
            kill s-0 Startup: Init container s failed startup probe
            volumes
            start Sidecar s"#]],
    );
    case(spec()).check(
        "i:run s:exit:1",
        expect![[r#"
            volumes
            start Sidecar s"#]],
    );
    case(spec()).startup("s-1", true).check(
        "i:exit:0 s:run",
        expect![[r#"
            volumes
            start Regular a"#]],
    );
    case(spec()).check(
        "a:run i:exit:0 s:exit:0",
        expect![[r#"
            volumes
            start Sidecar s"#]],
    );
    let never = with_init("Never", json!([{"name": "s", "restartPolicy": "Always"}]));
    case(never).check("a:exit:0 s:run", expect!["kill pod"]);
}

#[test]
fn ephemeral_containers_start_once() {
    let spec = json!({"containers": [{"name": "a"}], "ephemeralContainers": [{"name": "debug"}]});
    case(spec.clone()).check(
        "a:run",
        expect![[r#"
            volumes
            start Ephemeral debug"#]],
    );
    case(spec).check("a:run debug:exit:1", expect![""]);
}

#[test]
fn a_changed_image_replaces_the_container() {
    let subject =
        pod(json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "v2"}]}));
    let mut running = status("a:run", 0);
    running
        .annotations
        .insert(CONTAINER_HASH.into(), "another".into());
    let observed = Observed {
        sandboxes: vec![sandbox(SandboxState::Ready)],
        containers: vec![running],
        ips: Vec::new(),
    };
    let actions = plan(&subject, &observed, &ProbeResults::default());
    let lines: Vec<String> = actions.iter().map(line).collect();
    expect![[r#"
        kill a-0 Changed: Container a definition changed, will be restarted
        volumes
        start Regular a"#]]
    .assert_eq(&lines.join("\n"));
}
