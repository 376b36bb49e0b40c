//! The double keeps the promises that loops rely on.

use super::*;
use client::{DeleteOptions, ListOptions, RawEvent};
use futures::StreamExt;

fn fake() -> FakeApi {
    FakeApi::new(
        Clock::simulated(stdx::Timestamp::UNIX_EPOCH),
        Rng::seeded(1),
    )
}

fn pods(fake: &FakeApi) -> client::Resource {
    fake.client()
        .resource(client::Gvr::new("", "v1", "pods"), true)
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_what_happens_after_its_list() {
    let fake = fake();
    fake.create(
        "pods",
        json!({"metadata": {"name": "a", "namespace": "x", "labels": {"app": "web"}}}),
    );
    let list = pods(&fake)
        .list(&ListOptions::labels("app=web"))
        .await
        .unwrap();
    assert_eq!(list.items.len(), 1);
    let options = ListOptions {
        resource_version: Some(list.resource_version),
        ..ListOptions::labels("app=web")
    };
    let mut events = pods(&fake).watch(&options).await.unwrap();
    fake.edit("pods", "x", "a", |pod| {
        pod["metadata"]["labels"]["app"] = json!("db")
    });
    fake.create(
        "pods",
        json!({"metadata": {"name": "b", "namespace": "x", "labels": {"app": "web"}}}),
    );
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(match events.next().await.unwrap().unwrap() {
            RawEvent::Added(_) => "added",
            RawEvent::Deleted(_) => "deleted",
            _ => "other",
        });
    }
    assert_eq!(seen, ["deleted", "added"]);
    fake.compact();
    assert!(events.next().await.unwrap().unwrap_err().is_expired());
}

#[tokio::test(start_paused = true)]
async fn finalizers_and_grace_delay_the_end() {
    let fake = fake();
    fake.create(
        "pods",
        json!({"metadata": {"name": "a", "namespace": "x"}, "spec": {"nodeName": "n"}}),
    );
    let pods = pods(&fake).namespace("x");
    pods.delete("a", &DeleteOptions::default()).await.unwrap();
    assert_eq!(
        fake.get("pods", "x", "a").unwrap()["metadata"]["deletionGracePeriodSeconds"],
        30
    );
    let now = DeleteOptions {
        grace_period_seconds: Some(0),
        ..Default::default()
    };
    pods.delete("a", &now).await.unwrap();
    assert!(fake.get("pods", "x", "a").is_none());

    fake.create(
        "pods",
        json!({"metadata": {"name": "b", "namespace": "x", "finalizers": ["f"]}}),
    );
    pods.delete("b", &DeleteOptions::default()).await.unwrap();
    assert!(fake.get("pods", "x", "b").is_some());
    let release = client::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("b", "", &release, &Default::default())
        .await
        .unwrap();
    assert!(fake.get("pods", "x", "b").is_none());
    assert!(
        pods.delete("b", &DeleteOptions::default())
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test(start_paused = true)]
async fn stale_writes_conflict() {
    let fake = fake();
    let old = fake.create("pods", json!({"metadata": {"name": "a", "namespace": "x"}}));
    fake.edit("pods", "x", "a", |pod| pod["spec"]["nodeName"] = json!("n"));
    let pods = pods(&fake).namespace("x");
    let error = pods
        .replace("a", "", old.to_string().into(), &Default::default())
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
    let error = pods
        .delete("a", &DeleteOptions::uid("other"))
        .await
        .unwrap_err();
    assert!(error.is_conflict(), "{error}");
}
