//! Watches: where they begin, what enters and leaves a selection, and how they end.

use crate::cluster::Cluster;
use futures::StreamExt as _;
use meta::{Value, value};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";

fn map(name: &str, label: &str) -> Value {
    value!({"metadata": {"name": name, "labels": {"l": label}}})
}

async fn write(cluster: &Cluster, name: &str, label: &str) -> String {
    let one = format!("{MAPS}/{name}");
    let written = match cluster.get(&one).await.code {
        404 => cluster.post(MAPS, &map(name, label)).await,
        _ => cluster.put(&one, &map(name, label)).await,
    };
    written
        .ok()
        .str_at(&["metadata", "resourceVersion"])
        .to_string()
}

#[tokio::test]
async fn a_watch_begins_where_it_is_told_to() {
    let cluster = Cluster::start().await;
    let a = write(&cluster, "a", "1").await;
    let b = write(&cluster, "b", "1").await;
    let added = |name: &str, at: &str| format!("ADDED {name} {at}");
    for query in [
        "watch=1",
        "watch=true&resourceVersion=0",
        "watch=1&resourceVersion=",
    ] {
        let mut told = cluster.watch(&format!("{MAPS}?{query}"), &[]).await;
        assert_eq!(
            Cluster::told(&mut told, 2).await,
            [added("a", &a), added("b", &b)],
            "{query}"
        );
    }
    let mut after = cluster
        .watch(&format!("{MAPS}?watch=1&resourceVersion={a}"), &[])
        .await;
    assert_eq!(Cluster::told(&mut after, 1).await, [added("b", &b)]);
    let mut one = cluster
        .watch(&format!("/api/v1/watch/namespaces/ns/configmaps/b"), &[])
        .await;
    assert_eq!(Cluster::told(&mut one, 1).await, [added("b", &b)]);
    let mut named = cluster
        .watch(
            &format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Db"),
            &[],
        )
        .await;
    assert_eq!(Cluster::told(&mut named, 1).await, [added("b", &b)]);

    // One that asks for the future hears nothing of what comes before it.
    let future = b.parse::<u64>().expect("a number") + 1;
    let url = format!("{MAPS}?watch=1&resourceVersion={future}");
    let mut ahead = cluster.watch(&url, &[]).await;
    write(&cluster, "c", "1").await;
    let d = write(&cluster, "d", "1").await;
    assert_eq!(Cluster::told(&mut ahead, 1).await, [added("d", &d)]);

    let initial =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut all = cluster.watch(&format!("{MAPS}?{initial}"), &[]).await;
    let told = Cluster::told(&mut all, 4).await;
    assert!(told.iter().all(|t| t.starts_with("ADDED")), "{told:?}");
    let bookmark = all.next().await.expect("a bookmark");
    assert_eq!(bookmark.kind, registry::NoticeKind::Bookmark);
    let object = codec::json::parse_value(&bookmark.object).expect("JSON");
    assert_eq!(object.str_at(&["kind"]), "ConfigMap");
    assert_eq!(object.str_at(&["metadata", "resourceVersion"]), d);
    assert_eq!(
        object.str_at(&["metadata", "annotations", "k8s.io/initial-events-end"]),
        "true"
    );
    let now = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut now = cluster.watch(&format!("{MAPS}?{now}"), &[]).await;
    let e = write(&cluster, "e", "1").await;
    assert_eq!(Cluster::told(&mut now, 1).await, [added("e", &e)]);
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let cluster = Cluster::start().await;
    let url = format!("{MAPS}?watch=1&labelSelector=l%3Din");
    let mut told = cluster.watch(&url, &[]).await;
    write(&cluster, "a", "out").await;
    let entered = write(&cluster, "a", "in").await;
    let patch = value!({"data": {"k": "v"}});
    let changed = cluster
        .patch("merge", &format!("{MAPS}/a"), &patch)
        .await
        .ok();
    let changed = changed.str_at(&["metadata", "resourceVersion"]).to_string();
    let left = write(&cluster, "a", "out").await;
    let back = write(&cluster, "a", "in").await;
    cluster.delete(&format!("{MAPS}/a")).await.ok();
    let gone = cluster.store.revision().await.expect("a revision");
    assert_eq!(
        Cluster::told(&mut told, 5).await,
        [
            format!("ADDED a {entered}"),
            format!("MODIFIED a {changed}"),
            format!("DELETED a {left}"),
            format!("ADDED a {back}"),
            format!("DELETED a {gone}"),
        ]
    );
}

#[tokio::test]
async fn a_watch_from_too_long_ago_is_told_so() {
    let cluster = Cluster::start().await;
    let first = write(&cluster, "a", "0").await;
    for i in 0..8_300 {
        let patch = value!({"data": {"k": i.to_string()}});
        let reply = cluster.patch("merge", &format!("{MAPS}/a"), &patch).await;
        assert_eq!(reply.code, 200);
    }
    let last = cluster.store.revision().await.expect("a revision");
    assert!(cluster.server.registry.is_caught_up(last).await);
    let url = format!("{MAPS}?watch=1&resourceVersion={first}");
    let mut told = cluster.watch(&url, &[]).await;
    assert_eq!(
        Cluster::told(&mut told, 2).await,
        ["ERROR Some(410) Expired", "end"]
    );
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() {
    let cluster = Cluster::start().await;
    write(&cluster, "a", "0").await;
    let mut told = cluster
        .watch(&format!("{MAPS}?watch=1&timeoutSeconds=1"), &[])
        .await;
    let told = Cluster::told(&mut told, 2).await;
    assert_eq!(told[1], "end");
}

#[tokio::test]
async fn options_that_do_not_fit() {
    let cluster = Cluster::start().await;
    let wrong =
        |what: &str| format!("422 Invalid: ListOptions.meta.k8s.io \"\" is invalid: {what}");
    for (query, expected) in [
        (
            "sendInitialEvents=true",
            wrong("resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ),
        (
            "resourceVersionMatch=NotOlderThan",
            wrong("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=Exact",
            wrong("[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"),
        ),
        (
            "resourceVersion=x",
            "422 Invalid: configmaps \"\" is invalid: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax".into(),
        ),
    ] {
        let reply = cluster.get(&format!("{MAPS}?watch=1&{query}")).await;
        assert_eq!(reply.failure(), expected, "{query}");
    }
}

#[tokio::test]
async fn tables_and_metadata_are_watched() {
    let cluster = Cluster::start().await;
    write(&cluster, "a", "0").await;
    let accept = |what: &str| format!("application/json;as={what};v=v1;g=meta.k8s.io");
    let table = accept("Table");
    let mut told = cluster
        .watch(&format!("{MAPS}?watch=1"), &[("accept", &table)])
        .await;
    write(&cluster, "b", "0").await;
    for is_first in [true, false] {
        let notice = told.next().await.expect("a notice");
        let table = codec::json::parse_value(&notice.object).expect("JSON");
        assert_eq!(table.str_at(&["kind"]), "Table");
        assert_eq!(table.items_at(&["rows"]).len(), 1);
        assert_eq!(table.items_at(&["columnDefinitions"]).is_empty(), !is_first);
    }
    let partial = accept("PartialObjectMetadata");
    let mut told = cluster
        .watch(&format!("{MAPS}?watch=1"), &[("accept", &partial)])
        .await;
    let notice = told.next().await.expect("a notice");
    let object = codec::json::parse_value(&notice.object).expect("JSON");
    assert_eq!(object.str_at(&["kind"]), "PartialObjectMetadata");
    assert_eq!(object.str_at(&["metadata", "name"]), "a");
}

#[tokio::test]
async fn no_watcher_misses_or_repeats_anything() {
    let cluster = Cluster::start().await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(cluster.watch(&format!("{MAPS}?watch=1"), &[]).await);
    }
    let writers = (0..10).map(|w| {
        let cluster = &cluster;
        async move {
            for i in 0..20 {
                write(cluster, &format!("m{w}-{i}"), "x").await;
            }
        }
    });
    futures::future::join_all(writers).await;
    let mut expected: Option<Vec<String>> = None;
    for told in &mut watchers {
        let told = Cluster::told(told, 200).await;
        let revisions: Vec<u64> = told
            .iter()
            .filter_map(|t| t.rsplit(' ').next()?.parse().ok())
            .collect();
        assert!(
            revisions.windows(2).all(|pair| pair[0] < pair[1]),
            "{revisions:?}"
        );
        match &expected {
            None => expected = Some(told),
            Some(expected) => assert_eq!(&told, expected),
        }
    }
}
