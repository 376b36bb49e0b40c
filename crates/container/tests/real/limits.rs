//! Limits that the kernel enforces, and statistics.

use container::Runtime;
use container::config::{NamespaceMode, Resources};

use crate::node::{Node, until};

fn limited(
    node: &Node,
    name: &str,
    script: &str,
    resources: Resources,
) -> container::ContainerConfig {
    container::ContainerConfig {
        resources,
        ..node.container_config(name, script)
    }
}

#[tokio::test]
async fn too_much_memory_is_fatal() {
    let Some(node) = Node::new().await else {
        return;
    };
    let memory = || Resources {
        memory_limit_bytes: Some(24 << 20),
        ..Resources::default()
    };
    let (status, _) = node
        .run(limited(&node, "oom", "exec tail /dev/zero", memory()))
        .await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );
    // A child's death is told, too.
    let (status, _) = node
        .run(limited(&node, "child", "tail /dev/zero; exit 9", memory()))
        .await;
    assert_eq!((status.exit_code, status.reason.as_str()), (9, "OOMKilled"));
    node.finish().await;
}

#[tokio::test]
async fn too_many_processes_are_refused() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; echo all";
    let pids = Resources {
        pids_limit: Some(8),
        ..Resources::default()
    };
    let (status, log) = node.run(limited(&node, "pids", script, pids)).await;
    assert!(status.exit_code != 0 && log.contains("can't fork"), "{log}");
    node.finish().await;
}

#[tokio::test]
async fn limits_are_written_and_changed() {
    let Some(node) = Node::new().await else {
        return;
    };
    let resources = Resources {
        memory_limit_bytes: Some(64 << 20),
        cpu_quota_us: Some(50_000),
        cpu_shares: Some(512),
        pids_limit: Some(50),
        oom_score_adj: Some(1000),
        ..Resources::default()
    };
    let (sandbox, id) = node
        .start(limited(&node, "limits", "sleep 1000", resources))
        .await;
    let v1 = node.runtime.status().await.unwrap().cgroup_version == 1;
    let script = if v1 {
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us \
         cpu/cpu.shares pids/pids.max /proc/1/oom_score_adj"
    } else {
        "cd /sys/fs/cgroup; cat memory.max; cut -d' ' -f1 cpu.max; cat cpu.weight pids.max \
         /proc/1/oom_score_adj"
    };
    let shares = if v1 { "512" } else { "59" };
    assert_eq!(
        node.sh(&id, script).await,
        format!("67108864\n50000\n{shares}\n50\n1000")
    );
    // A container cannot lift them.
    let lift = "echo 99 > /sys/fs/cgroup/pids/pids.max || echo 99 > /sys/fs/cgroup/pids.max";
    assert!(node.sh(&id, lift).await.contains("Read-only file system"));
    let more = Resources {
        memory_limit_bytes: Some(128 << 20),
        cpu_quota_us: Some(70_000),
        ..Resources::default()
    };
    node.runtime.update_resources(&id, more).await.unwrap();
    assert_eq!(
        node.sh(&id, script).await,
        format!("134217728\n70000\n{shares}\n50\n1000")
    );
    let status = node.runtime.container_status(&id).await.unwrap();
    assert_eq!(status.resources.memory_limit_bytes, Some(128 << 20));
    assert_eq!(status.resources.pids_limit, Some(50));
    node.sh(
        &id,
        "dd if=/dev/zero of=/tmp/file bs=1M count=3 2>/dev/null",
    )
    .await;
    let stats = node.runtime.container_stats(&id).await.unwrap();
    assert!(stats.cpu_usage_ns > 0 && stats.memory_working_set_bytes > 0);
    assert_eq!((stats.pids, stats.memory_limit_bytes), (1, Some(128 << 20)));
    assert!(stats.writable_layer.unwrap().used_bytes >= 3 << 20);
    let pod = node.runtime.sandbox_stats(&sandbox).await.unwrap();
    assert!(pod.cpu_usage_ns >= stats.cpu_usage_ns && pod.pids == 1);
    node.finish().await;
}

#[tokio::test]
async fn a_pod_can_be_limited() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("podlimit");
    sandbox.resources = Some(Resources {
        memory_limit_bytes: Some(24 << 20),
        ..Resources::default()
    });
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let id = node
        .start_in(
            &sandbox,
            node.container_config("podlimit", "exec tail /dev/zero"),
        )
        .await;
    let status = node.exited(&id).await;
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );
    node.finish().await;
}

#[tokio::test]
async fn a_bomb_of_forks_is_cleared_away() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("bomb");
    sandbox.namespaces.pid = NamespaceMode::Node;
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let script = "b() { b | b & }; b; echo lit; while :; do sleep 0.1; done";
    let pids = Resources {
        pids_limit: Some(100),
        ..Resources::default()
    };
    let id = node
        .start_in(&sandbox, limited(&node, "bomb", script, pids))
        .await;
    until("it burns", async || node.log("bomb").contains("lit")).await;
    node.runtime.remove_container(&id).await.unwrap();
    node.finish().await;
}

#[tokio::test]
async fn version_2_alone_will_do() {
    let Some(node) = Node::version_2().await else {
        return;
    };
    let mut config = node.container_config("v2", "sleep 1000 & exec sleep 1000");
    config.security.run_as_user = Some(33);
    let (_, id) = node.start(config).await;
    // What it sees of cgroups begins with its own.
    let script = "cat /proc/self/cgroup | grep ^0; ls /sys/fs/cgroup/cgroup.procs; \
                  cat /sys/fs/cgroup/cgroup.procs | wc -l";
    let seen = node.sh(&id, script).await;
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[..2], ["0::/", "/sys/fs/cgroup/cgroup.procs"]);
    assert!(lines[2].parse::<u32>().unwrap() >= 3, "{seen}");
    node.runtime
        .stop_container(&id, std::time::Duration::ZERO)
        .await
        .unwrap();
    // Devices are denied.
    let disk =
        "mknod /tmp/disk b 254 0 && cat /tmp/disk 2>&1 | head -c 100; head -c 4 /dev/zero | wc -c";
    let (_, log) = node.run(node.container_config("disk", disk)).await;
    assert!(
        log.contains("Operation not permitted") && log.ends_with('4'),
        "{log}"
    );
    // Everything that the host's process namespace hides in dies with its cgroup.
    let mut sandbox = node.sandbox_config("host");
    sandbox.namespaces.pid = NamespaceMode::Node;
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let script = "sleep 98765 & sleep 98765";
    let id = node
        .start_in(&sandbox, node.container_config("host", script))
        .await;
    node.runtime
        .stop_container(&id, std::time::Duration::ZERO)
        .await
        .unwrap();
    let monitor = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .monitor_pid
        .unwrap();
    linux::process::kill(monitor, 9).unwrap();
    until("the loss is noticed", async || {
        let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
        status.state == container::SandboxState::NotReady
    })
    .await;
    node.finish().await;
}
