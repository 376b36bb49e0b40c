//! Events, under their old and their new name.

use super::{count, next, until, watch_from_now};
use crate::cluster::Cluster;
use meta::{Value, value};

const OLD: &str = "/api/v1/namespaces/ns/events";
const NEW: &str = "/apis/events.k8s.io/v1/namespaces/ns/events";

fn old(name: &str) -> Value {
    value!({
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "involvedObject": {"namespace": "ns", "kind": "Pod", "name": "p"},
        "reason": "Test", "message": "as it was", "type": "Normal",
        "source": {"component": "tester"}, "count": 1,
        "eventTime": "2017-09-19T13:49:16.000000Z",
        "action": "Do", "reportingComponent": "example.com/tester", "reportingInstance": "tester-1"
    })
}

fn new(name: &str) -> Value {
    value!({
        "metadata": {"name": name, "labels": {"test": "yes"}},
        "regarding": {"namespace": "ns", "kind": "Pod", "name": "p"},
        "reason": "Test", "note": "as it was", "type": "Normal", "action": "Do",
        "reportingController": "example.com/tester", "reportingInstance": "tester-1",
        "eventTime": "2017-09-19T13:49:16.000000Z"
    })
}

#[tokio::test]
async fn an_event_lives_under_its_old_name() {
    let cluster = Cluster::start().await;
    let mut told = watch_from_now(&cluster, OLD).await;
    cluster.post(OLD, &old("e")).await.ok();
    assert_eq!(next(&mut told).await.0, "ADDED");
    let found = "/api/v1/events?labelSelector=test%3Dyes";
    assert_eq!(count(&cluster, found).await, 1);
    let one = format!("{OLD}/e");
    let patch = value!({"message": "as it is"});
    cluster.patch("strategic-merge", &one, &patch).await.ok();
    let mut read = cluster.get(&one).await.ok();
    assert_eq!(read.str_at(&["message"]), "as it is");
    assert_eq!(until(&mut told, "MODIFIED").await, read);
    let series = value!({"count": 100, "lastObservedTime": "2014-01-02T03:04:05.000006Z"});
    read.set_at(&["series"], series.clone());
    let updated = cluster.put(&one, &read).await.ok();
    assert_eq!(updated.get("series"), Some(&series));
    assert_eq!(cluster.delete(&one).await.code, 200);
    until(&mut told, "DELETED").await;
    assert_eq!(count(&cluster, found).await, 0);
}

#[tokio::test]
async fn an_event_lives_under_its_new_name() {
    let cluster = Cluster::start().await;
    let made = cluster.post(NEW, &new("e")).await.ok();
    let one = format!("{NEW}/e");
    assert_eq!(cluster.get(&one).await.ok(), made);
    for list in [NEW, "/apis/events.k8s.io/v1/events"] {
        assert_eq!(count(&cluster, list).await, 1);
        let source = format!("{list}?fieldSelector=reportingController%3Dexample.com/tester");
        assert_eq!(count(&cluster, &source).await, 1);
    }
    let series =
        |count: i64| value!({"count": count, "lastObservedTime": "2017-09-19T13:50:00.000006Z"});
    let patch = value!({"series": series(2)});
    let mut patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
    assert_eq!(patched.get("series"), Some(&series(2)));
    patched.set_at(&["series"], series(100));
    let updated = cluster.put(&one, &patched).await.ok();
    assert_eq!(updated.get("series"), Some(&series(100)));
    assert_eq!(cluster.delete(&one).await.code, 200);
    assert_eq!(count(&cluster, NEW).await, 0);
}

#[tokio::test]
async fn events_are_deleted_together() {
    for (all, make) in [(OLD, old as fn(&str) -> Value), (NEW, new)] {
        let cluster = Cluster::start().await;
        for name in ["e1", "e2", "e3"] {
            cluster.post(all, &make(name)).await.ok();
        }
        let chosen = format!("{all}?labelSelector=test%3Dyes");
        assert_eq!(count(&cluster, &chosen).await, 3);
        assert_eq!(cluster.delete(&chosen).await.code, 200);
        assert_eq!(count(&cluster, all).await, 0);
    }
}
