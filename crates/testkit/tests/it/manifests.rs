//! A folder of manifests on a real API server.

use crate::cluster::Cluster;
use manifests::Manifests;
use serde_json::Value;
use std::fs;
use std::path::Path;
use stdx::Rng;

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: a}}\ndata: {{key: {value}}}\n---\n"
    )
}

async fn data(cluster: &Cluster, name: &str) -> Option<String> {
    let found = cluster.get("v1", "configmaps", "a", name).await?;
    found["data"]["key"].as_str().map(str::to_string)
}

async fn sets(cluster: &Cluster) -> usize {
    let list = cluster.list("v1", "configmaps").await;
    let is_set =
        |object: &&Value| object["metadata"]["annotations"]["tiphys.io/manifest"].is_string();
    list.iter().filter(is_set).count()
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file");
}

#[tokio::test]
async fn a_folder_is_applied_updated_and_pruned() {
    let cluster = Cluster::start(&[]).await;
    cluster
        .create(
            "v1",
            "namespaces",
            serde_json::json!({"metadata": {"name": "kube-system"}}),
        )
        .await;
    let dir = tempfile::tempdir().expect("a directory");
    let start = || {
        Manifests::new(
            dir.path(),
            cluster.client.clone(),
            cluster.clock.clone(),
            Rng::seeded(4),
        )
    };
    let mut manifests = start();
    write(
        dir.path(),
        "app.yaml",
        &(config_map("one", "x") + &config_map("two", "x")),
    );
    write(dir.path(), "bad.yaml", "a: [");
    manifests.look().await;
    assert_eq!(data(&cluster, "one").await.as_deref(), Some("x"));
    assert_eq!(data(&cluster, "two").await.as_deref(), Some("x"));
    // What leaves the file goes; what stays follows it.
    write(dir.path(), "app.yaml", &config_map("two", "changed"));
    manifests.look().await;
    assert_eq!(data(&cluster, "one").await, None);
    assert_eq!(data(&cluster, "two").await.as_deref(), Some("changed"));
    // A damaged file changes nothing.
    write(dir.path(), "app.yaml", "a: [");
    manifests.look().await;
    assert_eq!(data(&cluster, "two").await.as_deref(), Some("changed"));
    // Nobody saw the file go, but the set is remembered in the cluster.
    drop(manifests);
    fs::remove_file(dir.path().join("app.yaml")).expect("a file");
    assert_eq!(sets(&cluster).await, 1);
    start().look().await;
    assert_eq!(data(&cluster, "two").await, None);
    assert_eq!(sets(&cluster).await, 0);
}
