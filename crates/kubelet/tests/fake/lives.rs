//! Pods that start, restart and change.

use crate::{Node, one};
use container::fake::Script;
use kubelet::doors::ImageFailure;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_pod_runs_and_is_ready() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    let pod = node.until_ready("web").await;
    let status = &pod["status"];
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["podIP"], "10.42.0.2");
    assert_eq!(status["hostIP"], "192.0.2.1");
    assert_eq!(status["qosClass"], "BestEffort");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["started"], true);
    assert!(
        container["containerID"]
            .as_str()
            .unwrap()
            .starts_with("fake://")
    );
    for text in [
        "Pulled web",
        "Created web: Created container: a",
        "Started web: Started container a",
    ] {
        assert!(node.has_event(text), "{text}: {:#?}", node.events.lines());
    }
    let config = node
        .runtime
        .container_config(&node.container("web", "a"))
        .unwrap();
    assert_eq!(config.resources.cpu_shares, Some(2));
    let hosts = std::fs::read_to_string(&config.mounts[0].host_path).unwrap();
    assert!(hosts.contains("10.42.0.2\tweb"), "{hosts}");
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_waits_longer_and_longer() {
    let node = Node::new().await;
    let script = Script {
        exit: Some(1),
        ..Script::default()
    };
    node.runtime.script("a", script);
    node.pod("web", one(json!({})));
    let begin = node.clock.now();
    let mut waits = Vec::new();
    for restarts in 1..=6 {
        let is_so = |pod: &serde_json::Value| {
            pod["status"]["containerStatuses"][0]["restartCount"] == restarts
        };
        node.until("web", "restarted", is_so).await;
        waits.push(node.clock.since(begin).as_secs());
    }
    let gaps: Vec<u64> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [10, 20, 40, 80, 160]);
    let is_so = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    let pod = node.until("web", "waiting", is_so).await;
    let status = &pod["status"];
    assert_eq!(status["phase"], "Running");
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let uid = node.uid("web");
    assert_eq!(
        waiting["message"],
        format!("back-off 5m0s restarting failed container=a pod=web_default({uid})")
    );
    let last = &status["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"]),
        (&json!(1), &json!("Error"))
    );
    assert!(node.has_event("Warning BackOff web: Back-off restarting failed container a in pod"));
}

#[tokio::test(start_paused = true)]
async fn init_containers_come_first_and_sidecars_stay() {
    let node = Node::new().await;
    let done = Script {
        exit: Some(0),
        ..Script::default()
    };
    node.runtime.script("init", done);
    let mut spec = one(json!({}));
    spec["initContainers"] = json!([
        {"name": "side", "image": "busybox", "restartPolicy": "Always"},
        {"name": "init", "image": "busybox"},
    ]);
    node.pod("web", spec);
    node.until_ready("web").await;
    let starts: Vec<String> = node
        .runtime
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("start_container"))
        .collect();
    assert_eq!(
        starts,
        [
            "start_container side",
            "start_container init",
            "start_container a"
        ]
    );
    let side = node.container("web", "side");
    node.runtime.exit(&side, 1);
    let is_so = |pod: &serde_json::Value| {
        let side = &pod["status"]["initContainerStatuses"][0];
        side["restartCount"] == 1 && side["ready"] == true
    };
    node.until("web", "whole again", is_so).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_waited_for() {
    let node = Node::new().await;
    let failure = ImageFailure {
        reason: images::pull::Reason::ErrImagePull,
        message: "no such image".into(),
    };
    node.images.fail("busybox", Some(failure));
    node.pod("web", one(json!({})));
    let is_so = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
    };
    let pod = node.until("web", "waiting for its image", is_so).await;
    assert_eq!(pod["status"]["phase"], "Pending");
    assert!(node.has_event("Warning Failed web: Error: ErrImagePull"));
    node.images.fail("busybox", None);
    node.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_waited_for() {
    let node = Node::new().await;
    let mut spec = one(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    node.pod("web", spec);
    node.until_true("FailedMount", || {
        node.has_event(
            "Warning FailedMount web: MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found",
        )
    })
    .await;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"}, "data": {"key": "1"},
    });
    node.api.create("configmaps", map);
    let begin = node.clock.now();
    node.until_ready("web").await;
    assert!(
        node.clock.since(begin) < Duration::from_secs(2),
        "its arrival wakes the pod"
    );
    let config = node
        .runtime
        .container_config(&node.container("web", "a"))
        .unwrap();
    let file = config.mounts[0].host_path.join("key");
    assert!(config.mounts[0].readonly);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "1");
    node.api.edit("configmaps", "default", "settings", |map| {
        map["data"]["key"] = json!("2")
    });
    node.until_true("the file follows", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text == "2")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_sandbox_is_made_anew() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let first = node.container("web", "a");
    let sandbox = node.runtime.find(&node.uid("web"), "a").unwrap().sandbox_id;
    node.runtime.crash_sandbox(&sandbox);
    node.until_true("a new container", || node.container("web", "a") != first)
        .await;
    let pod = node.until_ready("web").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
    assert!(node.has_event("Normal SandboxChanged web"));
}

#[tokio::test(start_paused = true)]
async fn without_a_network_only_host_pods_start() {
    let node = Node::new().await;
    node.network.set_unready(Some("no pod CIDR"));
    node.pod("web", one(json!({})));
    let mut host = one(json!({}));
    host["hostNetwork"] = json!(true);
    node.pod("host", host);
    let pod = node.until_ready("host").await;
    assert_eq!(pod["status"]["podIP"], "192.0.2.1");
    assert!(node.has_event("Warning NetworkNotReady web: network is not ready: no pod CIDR"));
    node.network.set_unready(None);
    node.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn pods_go_on_while_the_network_opens() {
    let node = Node::new().await;
    node.pod("web", one(json!({})));
    node.until_ready("web").await;
    let id = node.container("web", "a");
    node.network.opens_when_asked("not open yet");
    node.clock.sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(node.container("web", "a"), id);
    assert!(!node.has_event(
        "Normal SandboxChanged web: Pod sandbox changed, it will be killed and re-created."
    ));
}

#[tokio::test(start_paused = true)]
async fn last_words_are_told() {
    let node = Node::new().await;
    let mut spec = one(json!({"terminationMessagePath": "/dev/termination-log"}));
    spec["restartPolicy"] = json!("Never");
    node.pod("job", spec);
    node.until_ready("job").await;
    let id = node.container("job", "a");
    let config = node.runtime.container_config(&id).unwrap();
    let mount = config
        .mounts
        .iter()
        .find(|mount| mount.container_path.ends_with("termination-log"));
    std::fs::write(&mount.unwrap().host_path, "farewell").unwrap();
    node.runtime.exit(&id, 3);
    let pod = node.until_phase("job", "Failed").await;
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&ended["message"], &ended["exitCode"]),
        (&json!("farewell"), &json!(3))
    );
}

#[tokio::test(start_paused = true)]
async fn a_path_that_an_image_volume_lacks_is_waited_for() {
    let node = Node::new().await;
    node.mounts.set_missing("not/there", true);
    let mount = json!({"name": "v", "mountPath": "/v", "subPath": "not/there"});
    let mut spec = one(json!({"volumeMounts": [mount]}));
    spec["volumes"] = json!([{"name": "v", "image": {"reference": "nginx"}}]);
    node.pod("web", spec);
    let waiting = "/status/containerStatuses/0/state/waiting";
    let reason = format!("{waiting}/reason");
    let refused = |pod: &Value| pod.pointer(&reason) == Some(&json!("CreateContainerError"));
    let pod = node.until("web", "refused", refused).await;
    let message = pod.pointer(waiting).unwrap()["message"].as_str().unwrap();
    let said = "failed to mount image volume: ImageVolumeMountFailed: failed to ensure image subpath \"not/there\" in ";
    assert!(message.starts_with(said), "{message}");
    assert!(node.has_event(&format!("Warning Failed web: Error: {said}")));
    // Nothing was created, so that nothing crashes; it is tried again and again.
    let tried = || {
        let lines = node.events.lines();
        lines.iter().filter(|line| line.contains(said)).count()
    };
    node.until_true("several tries", || tried() > 2).await;
    assert!(refused(&node.get("web").unwrap()));
    node.mounts.set_missing("not/there", false);
    let pod = node.until_ready("web").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
}
