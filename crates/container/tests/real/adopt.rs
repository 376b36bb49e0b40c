//! A runtime that comes back, and monitors that do not.

use std::path::PathBuf;
use std::time::Duration;

use container::embedded::Embedded;
use container::runtime::EventKind;
use container::{ContainerState, Runtime, SandboxState};

use crate::node::{BOUND, Footprint, Node, until};

#[tokio::test]
async fn a_new_runtime_adopts_what_runs() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "trap 'exit 21' TERM; echo ready; while :; do sleep 0.02; done";
    let mut config = node.container_config("adopt", script);
    config.attempt = 3;
    let (sandbox, id) = node.start(config).await;
    let (_, gone) = node
        .start(node.container_config(
            "gone",
            "while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 5",
        ))
        .await;
    let before = node.runtime.container_status(&id).await.unwrap();
    // The file that ends the second one is put into its layer while nobody watches.
    let runtime = Embedded::open(node.config.clone()).await.unwrap();
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(status, before);
    assert_eq!((status.attempt, status.state), (3, ContainerState::Running));
    let adopted = runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(adopted.state, SandboxState::Ready);
    assert!(adopted.monitor_pid.is_some());
    let mut events = runtime.events();
    let go = ["touch", "/tmp/go"].map(str::to_owned);
    assert_eq!(
        runtime
            .exec_sync(&gone, &go, BOUND)
            .await
            .unwrap()
            .exit_code,
        0
    );
    let ended = tokio::time::timeout(BOUND, events.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (ended.kind, ended.container_id.as_deref()),
        (EventKind::Stopped, Some(&*gone))
    );
    assert_eq!(runtime.container_status(&gone).await.unwrap().exit_code, 5);
    runtime.stop_container(&id, BOUND).await.unwrap();
    assert_eq!(runtime.container_status(&id).await.unwrap().exit_code, 21);
    // The first runtime has seen the same.
    assert_eq!(node.exited(&id).await.exit_code, 21);
    node.finish().await;
}

#[tokio::test]
async fn a_killed_runtime_leaves_its_containers_running() {
    let Some(mut node) = Node::new().await else {
        return;
    };
    let script = "while [ ! -e /tmp/go ]; do echo tick; sleep 0.02; done; echo last; exit 12";
    let directory = node.path("");
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_container-monitor"))
        .args(["run", directory.to_str().unwrap(), &node.cgroup, script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut id = String::new();
    let mut stdout = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut id).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let ticks = || node.log("run").lines().count();
    let before = ticks();
    until("the log goes on", async || ticks() > before + 3).await;
    node.runtime = Embedded::open(node.config.clone()).await.unwrap();
    let status = node.runtime.container_status(id.trim()).await.unwrap();
    assert_eq!(status.state, ContainerState::Running);
    node.sh(id.trim(), "touch /tmp/go").await;
    assert_eq!(node.exited(id.trim()).await.exit_code, 12);
    assert!(node.log("run").ends_with("stdout F last"));
    node.finish().await;
}

#[tokio::test]
async fn what_ended_meanwhile_is_known() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (_, id) = node
        .start(node.container_config("meanwhile", "sleep 0.2; exit 33"))
        .await;
    let other = node.config.clone();
    // Another process runs the runtime, as after a restart.
    node.exited(&id).await;
    let runtime = Embedded::open(other).await.unwrap();
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.state, status.exit_code),
        (ContainerState::Exited, 33)
    );
    assert!(status.finished_ns >= status.started_ns);
    node.finish().await;
}

#[tokio::test]
async fn a_killed_monitor_takes_its_containers_along() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut events = node.runtime.events();
    let script = "sleep 5000 & sleep 5000";
    let (sandbox, id) = node.start(node.container_config("killed", script)).await;
    let other = node
        .start_in(&sandbox, node.container_config("other", "sleep 5001"))
        .await;
    let created = {
        let config = node.container_config("created", "true");
        node.runtime
            .create_container(&sandbox, config)
            .await
            .unwrap()
    };
    let monitor = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .monitor_pid
        .unwrap();
    linux::process::kill(monitor, 9).unwrap();
    until("the sandbox is not ready", async || {
        let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
        status.state == SandboxState::NotReady
    })
    .await;
    for id in [&id, &other] {
        let status = node.exited(id).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "Error"));
        assert_eq!(status.message, "the monitor of the pod died");
    }
    let status = node.runtime.container_status(&created).await.unwrap();
    assert_eq!(status.state, ContainerState::Created);
    until("the sandbox's end is told", async || {
        events
            .try_recv()
            .is_ok_and(|event| event.kind == EventKind::Stopped && event.container_id.is_none())
    })
    .await;
    let left = Footprint::of(&node.path(""), &node.cgroup);
    assert!(
        left.processes.is_empty() && left.mounts.is_empty(),
        "{left:?}"
    );
    // The next attempt at the pod works.
    let mut again = node.sandbox_config("killed");
    again.attempt = 1;
    let again = node.runtime.run_sandbox(again).await.unwrap();
    let id = node
        .start_in(&again, node.container_config("killed", "exit 0"))
        .await;
    assert_eq!(node.exited(&id).await.exit_code, 0);
    node.finish().await;
}

#[tokio::test]
async fn whoever_cannot_start_a_container_finds_its_sandbox_lost() {
    let Some(node) = Node::new().await else {
        return;
    };
    let sandbox = node.sandbox_config("lost");
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let config = node.container_config("late", "true");
    let id = node.runtime.create_container(&sandbox, config).await;
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    linux::process::kill(status.monitor_pid.unwrap(), 9).unwrap();
    node.runtime
        .start_container(&id.unwrap())
        .await
        .expect_err("nobody to start it");
    // At once, not when the monitor's end has been heard of.
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(status.state, SandboxState::NotReady);
    node.finish().await;
}

#[tokio::test]
async fn a_monitor_killed_while_nobody_watched_is_found_out() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (sandbox, id) = node
        .start(node.container_config("unseen", "sleep 5000"))
        .await;
    let monitor = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .monitor_pid
        .unwrap();
    let mut node = node;
    node.leave().await;
    linux::process::kill(monitor, 9).unwrap();
    until("it is gone", async || {
        let state = std::fs::read_to_string(format!("/proc/{monitor}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z")
    })
    .await;
    node.runtime = Embedded::open(node.config.clone()).await.unwrap();
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(
        (status.state, status.monitor_pid),
        (SandboxState::NotReady, None)
    );
    assert_eq!(
        node.runtime.container_status(&id).await.unwrap().exit_code,
        137
    );
    node.finish().await;
}

#[tokio::test]
async fn torn_files_do_not_keep_a_node_down() {
    let Some(mut node) = Node::new().await else {
        return;
    };
    let (torn, _) = node
        .start(node.container_config("torn", "sleep 5000"))
        .await;
    let (other, id) = node
        .start(node.container_config("other", "sleep 5000"))
        .await;
    let (last, ended) = node.start(node.container_config("last", "exit 0")).await;
    node.exited(&ended).await;
    node.leave().await;
    std::fs::write(
        node.path("run").join(&torn).join("sandbox.json"),
        "{\"id\": \"",
    )
    .unwrap();
    let record = node
        .path("run")
        .join(&last)
        .join("containers")
        .join(&ended)
        .join("record.json");
    std::fs::write(record, "").unwrap();
    node.runtime = Embedded::open(node.config.clone()).await.unwrap();
    assert!(
        node.runtime
            .sandbox_status(&torn)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let status = node.runtime.sandbox_status(&other).await.unwrap();
    assert_eq!(status.state, SandboxState::Ready);
    assert_eq!(node.sh(&id, "echo alive").await, "alive");
    let status = node.runtime.container_status(&ended).await.unwrap();
    assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"));
    let parent = format!("{}/kubepods/burstable/podtorn", node.cgroup);
    let group = linux::cgroup::Cgroups::detect()
        .unwrap()
        .group(&parent)
        .unwrap();
    assert!(group.processes().unwrap().is_empty());
    group.remove().unwrap();
    node.finish().await;
}

#[tokio::test]
async fn another_boot_leaves_nothing_running() {
    let Some(mut node) = Node::new().await else {
        return;
    };
    let (sandbox, id) = node
        .start(node.container_config("boot", "sleep 5000"))
        .await;
    let monitor = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .monitor_pid
        .unwrap();
    node.leave().await;
    linux::process::kill(monitor, 9).unwrap();
    let file = node.path("run").join(&sandbox).join("sandbox.json");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let own = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    text = text.replace(own.trim(), "another");
    std::fs::write(&file, text).unwrap();
    node.runtime = Embedded::open(node.config.clone()).await.unwrap();
    let status = node.runtime.container_status(&id).await.unwrap();
    assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"));
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(status.state, SandboxState::NotReady);
    node.finish().await;
}

#[tokio::test]
async fn leftovers_are_swept() {
    let Some(mut node) = Node::new().await else {
        return;
    };
    let (run, data): (PathBuf, PathBuf) = (node.path("run/half"), node.path("data/orphan/upper"));
    std::fs::create_dir_all(run.join("shm")).unwrap();
    std::fs::create_dir_all(&data).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", run.join("shm"), "tmpfs", flags, c"").unwrap();
    node.runtime = Embedded::open(node.config.clone()).await.unwrap();
    assert!(!run.exists() && !data.exists());
    node.finish().await;
}

#[tokio::test]
async fn many_pods_at_once() {
    let Some(node) = Node::new().await else {
        return;
    };
    let node = std::sync::Arc::new(node);
    let mut pods = tokio::task::JoinSet::new();
    for number in 0..12 {
        let node = node.clone();
        pods.spawn(async move {
            let config = node.container_config(&format!("pod{number}"), "echo up; sleep 1000");
            let (sandbox, id) = node.start(config).await;
            assert_eq!(node.sh(&id, "echo in").await, "in");
            node.runtime
                .stop_container(&id, Duration::ZERO)
                .await
                .unwrap();
            node.runtime.remove_sandbox(&sandbox).await.unwrap();
        });
    }
    while let Some(result) = pods.join_next().await {
        result.unwrap();
    }
    let Some(node) = std::sync::Arc::into_inner(node) else {
        panic!("still shared")
    };
    node.finish().await;
}
