//! Real pods from start to end.

use crate::node::{IMAGE, Node};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_runs_logs_and_leaves_nothing() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "echo hello $GREETING from $NAME; cat /etc/hosts; exec sleep 1000";
    node.script(
        "web",
        script,
        json!({"container": {"env": [
            {"name": "GREETING", "value": "world"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]}}),
    );
    let pod = node.until_ready("web").await;
    let status = &pod["status"]["containerStatuses"][0];
    assert!(
        status["containerID"]
            .as_str()
            .unwrap()
            .starts_with("tiphys://"),
        "{status:#}"
    );
    assert_eq!(status["image"], "docker.io/library/busybox:test");
    node.until_true("the log", || node.handle.pod_count() == 1)
        .await;
    for _ in 0..500 {
        if node.log("web", "a").await.contains("10.42.0.2\tweb") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let log = node.log("web", "a").await;
    assert!(log.starts_with("hello world from web"), "{log}");
    assert!(log.contains("10.42.0.2\tweb"), "{log}");
    assert_eq!(node.exec("web", "hostname").await, "web");
    node.delete("web", 1).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_as_they_were() {
    let Some(node) = Node::new().await else {
        return;
    };
    let never = || json!({"restartPolicy": "Never"});
    node.script("good", "true", never());
    let mut words = never();
    words["container"] = json!({"terminationMessagePath": "/dev/termination-log"});
    node.script("bad", "echo farewell > /dev/termination-log; exit 3", words);
    let mut fallback = never();
    fallback["container"] = json!({
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    node.script("silent", "echo from the log; exit 4", fallback);
    let mut hungry = never();
    hungry["container"] = json!({"resources": {"limits": {"memory": "32Mi"}}});
    node.script("hungry", "tail /dev/zero", hungry);
    let mut missing = never();
    missing["container"] = json!({"command": ["/no/such/program"]});
    node.script("missing", "", missing);
    node.until_phase("good", "Succeeded").await;
    for (name, code, reason, message) in [
        ("bad", 3, "Error", Some("farewell\n")),
        ("silent", 4, "Error", Some("from the log\n")),
        ("hungry", 137, "OOMKilled", None),
    ] {
        let pod = node.until_phase(name, "Failed").await;
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(
            (&ended["exitCode"], &ended["reason"]),
            (&json!(code), &json!(reason)),
            "{name}: {ended:#}"
        );
        if let Some(message) = message {
            assert_eq!(ended["message"], message, "{name}");
        }
    }
    let pod = node
        .until("missing", "failed to run", |pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"];
            state["terminated"]["reason"] == "StartError"
                || state["waiting"]["reason"] == "RunContainerError"
        })
        .await;
    let text = pod["status"].to_string();
    assert!(text.contains("/no/such/program"), "{text}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_hooks_run_in_the_container() {
    let Some(node) = Node::new().await else {
        return;
    };
    let probe = |file: &str| json!({"exec": {"command": ["test", "-e", file]}, "periodSeconds": 1, "failureThreshold": 60});
    let lifecycle = json!({
        "postStart": {"exec": {"command": ["touch", "/started"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo bye > /proc/1/fd/1"]}},
    });
    node.script(
        "web",
        "trap 'exit 0' TERM; while :; do sleep 0.05; done",
        json!({"container": {"startupProbe": probe("/started"), "readinessProbe": probe("/ready"), "lifecycle": lifecycle}}),
    );
    node.until("web", "started", |pod| {
        pod["status"]["containerStatuses"][0]["started"] == true
    })
    .await;
    assert_ne!(
        node.get("web")["status"]["containerStatuses"][0]["ready"],
        true
    );
    node.exec("web", "touch /ready").await;
    node.until_ready("web").await;
    node.delete("web", 10).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_share_volumes_with_the_rest() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let container = |name: &str, script: &str| json!({"name": name, "image": IMAGE, "command": ["sh", "-c", script], "volumeMounts": mount});
    let mut side = container("side", "echo side >> /data/log; exec sleep 1000");
    side["restartPolicy"] = json!("Always");
    node.pod(
        "web",
        json!({
            "initContainers": [side, container("init", "echo init >> /data/log")],
            "containers": [container("a", "echo main >> /data/log; exec sleep 1000")],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "terminationGracePeriodSeconds": 1,
        }),
    );
    node.until_ready("web").await;
    node.until_true("three lines", || {
        let uid = node.uid("web");
        let path = node.kubelet_path(&format!(
            "pods/{uid}/volumes/kubernetes.io~empty-dir/data/log"
        ));
        std::fs::read_to_string(path).is_ok_and(|text| text == "side\ninit\nmain\n")
    })
    .await;
    node.delete("web", 1).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_container_is_restarted_and_a_new_kubelet_adopts_it() {
    let Some(node) = Node::new().await else {
        return;
    };
    node.script(
        "web",
        "exec sleep 1000",
        json!({"terminationGracePeriodSeconds": 1}),
    );
    node.until_ready("web").await;
    node.exec("web", "kill -9 1 2>/dev/null; true").await;
    let uid = node.uid("web");
    let pid = |node: &Node| {
        let runtime = node.runtime.clone();
        let uid = uid.clone();
        async move {
            use container::Runtime;
            let filter = container::status::ContainerFilter {
                labels: [("io.kubernetes.pod.uid".to_owned(), uid)].into(),
                ..Default::default()
            };
            let list = runtime.list_containers(&filter).await.unwrap();
            list.iter().rev().find_map(|c| c.pid)
        }
    };
    let first = pid(&node).await.unwrap();
    let killed = rustix::process::Pid::from_raw(first).unwrap();
    rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
    node.until("web", "restarted", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"] == 1 && status["ready"] == true
    })
    .await;
    let running = pid(&node).await.unwrap();
    let node = node.stop().await.start().await;
    node.until_true("its worker", || node.handle.pod_count() == 1)
        .await;
    let pod = node.until_ready("web").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
    assert_eq!(pid(&node).await, Some(running));
    node.delete("web", 1).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_it_runs_as() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut spec = json!({
        "restartPolicy": "Never",
        "securityContext": {"runAsUser": 1234, "runAsGroup": 2345, "fsGroup": 3456, "supplementalGroups": [4567]},
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
    });
    spec["container"] = json!({
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "fast", "mountPath": "/fast"}],
        "securityContext": {"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
    });
    node.script(
        "job",
        "id; touch /data/file && stat -c %u:%g /data/file; touch /x; \
         dd if=/dev/zero of=/fast/big bs=1M count=3 2>&1 | grep -i space; grep CapEff /proc/self/status",
        spec,
    );
    node.until_phase("job", "Succeeded").await;
    let log = node.log("job", "a").await;
    for text in [
        "uid=1234",
        "gid=2345",
        "3456",
        "4567",
        "1234:3456",
        "Read-only file system",
        "No space left",
        "0000000000000000",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    node.script(
        "root",
        "id",
        json!({"restartPolicy": "Never", "securityContext": {"runAsNonRoot": true}}),
    );
    let pod = node
        .until("root", "refused", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "CreateContainerConfigError"
        })
        .await;
    let message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .starts_with("container has runAsNonRoot and image will run as root")
    );
    node.end().await;
}
