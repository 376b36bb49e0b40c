//! Volumes as a container sees them.

use crate::node::Node;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_files_that_follow_their_changes() {
    let Some(node) = Node::new().await else {
        return;
    };
    node.api.create(
        "configmaps",
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "default"}, "data": {"color": "blue", "size": "big"},
        }),
    );
    node.api.create(
        "secrets",
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "keys", "namespace": "default"}, "data": {"password": "aHVudGVyMg=="},
        }),
    );
    let spec = json!({
        "terminationGracePeriodSeconds": 1,
        "container": {
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}}],
            "volumeMounts": [
                {"name": "map", "mountPath": "/map"}, {"name": "keys", "mountPath": "/keys"},
                {"name": "map", "mountPath": "/one", "subPath": "color"},
                {"name": "info", "mountPath": "/info"},
            ],
        },
        "volumes": [
            {"name": "map", "configMap": {"name": "settings"}},
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
            {"name": "info", "downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "limit", "resourceFieldRef": {"containerName": "a", "resource": "limits.cpu"}},
            ]}},
        ],
    });
    node.script("web", "exec sleep 1000", spec);
    node.until_ready("web").await;
    assert_eq!(
        node.exec("web", "echo $S_color $S_size $PASSWORD").await,
        "blue big hunter2"
    );
    assert_eq!(
        node.exec("web", "cat /map/color /one /keys/password").await,
        "bluebluehunter2"
    );
    assert_eq!(node.exec("web", "stat -Lc %a /keys/password").await, "400");
    assert_eq!(node.exec("web", "cat /info/labels").await, "app=\"web\"");
    assert!(
        node.exec("web", "touch /map/x")
            .await
            .contains("Read-only file system")
    );
    assert!(
        node.exec("web", "df -T /keys | tail -1")
            .await
            .contains("tmpfs")
    );
    node.api.edit("configmaps", "default", "settings", |map| {
        map["data"]["color"] = json!("red")
    });
    let uid = node.uid("web");
    let file = node.kubelet_path(&format!(
        "pods/{uid}/volumes/kubernetes.io~configmap/map/color"
    ));
    node.until_true("the file follows", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text == "red")
    })
    .await;
    assert_eq!(node.exec("web", "cat /map/color").await, "red");
    node.delete("web", 1).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_volume_does_not_lead_out() {
    let Some(node) = Node::new().await else {
        return;
    };
    let host = node.path("host");
    std::fs::create_dir_all(host.join("in")).unwrap();
    std::fs::write(host.join("in/file"), "inside").unwrap();
    std::os::unix::fs::symlink("/etc", host.join("out")).unwrap();
    let spec = |part: &str| {
        json!({
            "restartPolicy": "Never",
            "container": {
                "env": [{"name": "WHERE", "value": "in"}],
                "volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": part}],
            },
            "volumes": [{"name": "v", "hostPath": {"path": host, "type": "Directory"}}],
        })
    };
    node.script("good", "cat /v/file", spec("$(WHERE)"));
    node.until_phase("good", "Succeeded").await;
    assert_eq!(node.log("good", "a").await, "inside");
    node.script("bad", "cat /v/passwd", spec("out"));
    node.until("bad", "refused", |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"];
        state["waiting"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.ends_with("Error"))
            || state["terminated"]["exitCode"]
                .as_i64()
                .is_some_and(|code| code != 0)
    })
    .await;
    let shown = node.get("bad")["status"].to_string();
    assert!(!shown.contains("root:"), "{shown}");
    node.end().await;
}
