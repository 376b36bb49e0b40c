//! Watches of config maps, and how lives of objects look from them.

use super::next;
use crate::cluster::Cluster;
use meta::{Value, value};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";

fn map(name: &str, label: &str) -> Value {
    value!({"metadata": {"name": name, "labels": {"watched": label}}})
}

fn selected(selector: &str, more: &str) -> String {
    format!("{MAPS}?watch=1&labelSelector=watched{selector}{more}")
}

/// Sets the counter of a map.
async fn mutate(cluster: &Cluster, name: &str, to: i64) -> Value {
    let patch = value!({"data": {"mutation": to.to_string()}});
    let one = format!("{MAPS}/{name}");
    cluster.patch("merge", &one, &patch).await.ok()
}

fn version(object: &Value) -> &str {
    object.str_at(&["metadata", "resourceVersion"])
}

#[tokio::test]
async fn each_watch_sees_what_it_chose() {
    let cluster = Cluster::start().await;
    let mut a = cluster.watch(&selected("%3Da", ""), &[]).await;
    let mut b = cluster.watch(&selected("%3Db", ""), &[]).await;
    let mut both = cluster.watch(&selected("+in+(a,b)", ""), &[]).await;
    let made = cluster.post(MAPS, &map("a", "a")).await.ok();
    let first = mutate(&cluster, "a", 1).await;
    let second = mutate(&cluster, "a", 2).await;
    cluster.delete(&format!("{MAPS}/a")).await.ok();
    let other = cluster.post(MAPS, &map("b", "b")).await.ok();
    cluster.delete(&format!("{MAPS}/b")).await.ok();
    for told in [&mut a, &mut both] {
        assert_eq!(next(told).await, ("ADDED", made.clone()));
        assert_eq!(next(told).await, ("MODIFIED", first.clone()));
        assert_eq!(next(told).await, ("MODIFIED", second.clone()));
        let (kind, gone) = next(told).await;
        assert_eq!(kind, "DELETED");
        assert_eq!(gone.get("data"), second.get("data"));
    }
    for told in [&mut b, &mut both] {
        assert_eq!(next(told).await, ("ADDED", other.clone()));
        assert_eq!(next(told).await.0, "DELETED");
    }
}

#[tokio::test]
async fn a_watch_begins_after_a_version() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a", "a")).await.ok();
    let first = mutate(&cluster, "a", 1).await;
    let second = mutate(&cluster, "a", 2).await;
    cluster.delete(&format!("{MAPS}/a")).await.ok();
    let from = format!("&resourceVersion={}", version(&first));
    let mut told = cluster.watch(&selected("%3Da", &from), &[]).await;
    assert_eq!(next(&mut told).await, ("MODIFIED", second));
    assert_eq!(next(&mut told).await.0, "DELETED");
}

#[tokio::test]
async fn a_watch_goes_on_where_another_stopped() {
    let cluster = Cluster::start().await;
    let mut told = cluster.watch(&selected("%3Da", ""), &[]).await;
    cluster.post(MAPS, &map("a", "a")).await.ok();
    mutate(&cluster, "a", 1).await;
    assert_eq!(next(&mut told).await.0, "ADDED");
    let (kind, last) = next(&mut told).await;
    assert_eq!(kind, "MODIFIED");
    drop(told);
    let second = mutate(&cluster, "a", 2).await;
    cluster.delete(&format!("{MAPS}/a")).await.ok();
    let from = format!("&resourceVersion={}", version(&last));
    let mut told = cluster.watch(&selected("%3Da", &from), &[]).await;
    assert_eq!(next(&mut told).await, ("MODIFIED", second));
    assert_eq!(next(&mut told).await.0, "DELETED");
}
