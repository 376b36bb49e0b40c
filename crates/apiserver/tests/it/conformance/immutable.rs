//! Config maps and secrets: keys that may not be, and data that may not change.

use crate::cluster::Cluster;
use meta::value;

const KINDS: [(&str, &str, &str); 2] = [
    ("configmaps", "value-1", "value-2"),
    ("secrets", "dmFsdWUtMQ==", "dmFsdWUtMg=="),
];

#[tokio::test]
async fn an_empty_key_is_refused() {
    let cluster = Cluster::start().await;
    for (plural, value, _) in KINDS {
        let object = value!({"metadata": {"name": "o"}, "data": {"": value}});
        let all = format!("/api/v1/namespaces/ns/{plural}");
        let refused = cluster.post(&all, &object).await.failure();
        assert!(refused.starts_with("422 Invalid: "), "{refused}");
        assert!(refused.contains("data"), "{refused}");
        assert_eq!(super::count(&cluster, &all).await, 0);
    }
}

#[tokio::test]
async fn immutable_data_stays() {
    let cluster = Cluster::start().await;
    for (plural, before, after) in KINDS {
        let all = format!("/api/v1/namespaces/ns/{plural}");
        let one = format!("{all}/o");
        let object = value!({"metadata": {"name": "o"}, "data": {"key": before}});
        cluster.post(&all, &object).await.ok();
        let change = value!({"data": {"key": after}});
        cluster.patch("merge", &one, &change).await.ok();
        let seal = value!({"immutable": true});
        let sealed = cluster.patch("merge", &one, &seal).await.ok();
        for change in [
            value!({"data": {"key": before}}),
            value!({"data": {"more": before}}),
            value!({"immutable": false}),
            value!({"immutable": null}),
        ] {
            let refused = cluster.patch("merge", &one, &change).await.failure();
            assert!(
                refused.starts_with("422 Invalid: ") && refused.contains("is immutable"),
                "{change} {refused}"
            );
        }
        assert_eq!(cluster.get(&one).await.ok(), sealed);
        let labelled = cluster.patch("merge", &one, &super::labelled("yes")).await;
        assert_eq!(labelled.code, 200, "{}", labelled.text());
        assert_eq!(cluster.delete(&one).await.code, 200);
    }
}

#[tokio::test]
async fn data_is_updated() {
    let cluster = Cluster::start().await;
    for (plural, before, after) in KINDS {
        let all = format!("/api/v1/namespaces/ns/{plural}");
        let object = value!({"metadata": {"name": "o"}, "data": {"key": before}});
        let mut made = cluster.post(&all, &object).await.ok();
        made.set_at(&["data", "key"], after);
        made.set_at(&["data", "more"], before);
        let one = format!("{all}/o");
        cluster.put(&one, &made).await.ok();
        let read = cluster.get(&one).await.ok();
        assert_eq!(
            read.get("data"),
            Some(&value!({"key": after, "more": before}))
        );
    }
}
