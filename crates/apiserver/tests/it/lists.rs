//! Lists: what resourceVersion, resourceVersionMatch, limit and continue mean
//! together, and selectors.

use crate::cluster::{Cluster, Reply};
use meta::{Value, value};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";

async fn make(cluster: &Cluster, namespace: &str, name: &str, label: &str) -> String {
    let object = value!({"metadata": {"name": name, "labels": {"l": label}}});
    let made = cluster
        .post(
            &format!("/api/v1/namespaces/{namespace}/configmaps"),
            &object,
        )
        .await
        .ok();
    made.str_at(&["metadata", "resourceVersion"]).to_string()
}

fn names(reply: &Reply) -> Vec<String> {
    let list = reply.ok();
    let items = list.items_at(&["items"]).iter();
    items
        .map(|o| o.str_at(&["metadata", "name"]).to_string())
        .collect()
}

#[tokio::test]
async fn the_table_of_resource_versions() {
    let cluster = Cluster::start().await;
    let mut revisions = Vec::new();
    for name in ["a", "b", "c"] {
        revisions.push(make(&cluster, "ns", name, "x").await);
    }
    let (first, last) = (&revisions[0], &revisions[2]);
    let future = (last.parse::<u64>().expect("a number") + 1000).to_string();
    let list = async |query: &str| cluster.get(&format!("{MAPS}?{query}")).await;
    for (query, expected) in [
        (String::new(), "abc"),
        ("resourceVersion=0".into(), "abc"),
        (format!("resourceVersion={first}"), "abc"),
        (
            "resourceVersion=0&resourceVersionMatch=NotOlderThan".into(),
            "abc",
        ),
        (
            format!("resourceVersion={first}&resourceVersionMatch=NotOlderThan"),
            "abc",
        ),
        (
            format!("resourceVersion={first}&resourceVersionMatch=Exact"),
            "a",
        ),
        (
            format!("resourceVersion={last}&resourceVersionMatch=Exact"),
            "abc",
        ),
        ("limit=2".into(), "ab"),
        ("limit=2&resourceVersion=0".into(), "abc"),
        (format!("limit=2&resourceVersion={first}"), "a"),
        (format!("limit=2&resourceVersion={last}"), "ab"),
        (
            format!("limit=2&resourceVersion={first}&resourceVersionMatch=Exact"),
            "a",
        ),
        (
            format!("limit=2&resourceVersion={first}&resourceVersionMatch=NotOlderThan"),
            "ab",
        ),
    ] {
        let reply = list(&query).await;
        assert_eq!(names(&reply).concat(), expected, "{query}");
        let shown = reply.value();
        let revision = shown.str_at(&["metadata", "resourceVersion"]);
        let is_exact = query.contains("Exact")
            || (query.contains("limit=2&resourceVersion=")
                && !query.contains("=0")
                && !query.contains("NotOlder"));
        if is_exact {
            assert!(
                query.contains(&format!("={revision}")),
                "{query} {revision}"
            );
        } else {
            assert_eq!(revision, last, "{query}");
        }
    }
    let wrong =
        |what: &str| format!("422 Invalid: ListOptions.meta.k8s.io \"\" is invalid: {what}");
    for (query, expected) in [
        (
            "resourceVersionMatch=Exact",
            wrong("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            wrong("resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""),
        ),
        (
            "resourceVersion=1&resourceVersionMatch=x",
            wrong("resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\""),
        ),
        (
            "continue=x&resourceVersion=1&resourceVersionMatch=Exact",
            wrong("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"),
        ),
        (
            "sendInitialEvents=true",
            wrong("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        ),
        (
            "resourceVersion=x",
            "500 : resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax".into(),
        ),
        (
            "continue=x&resourceVersion=5",
            "400 BadRequest: specifying resource version is not allowed when using continue".into(),
        ),
    ] {
        assert_eq!(list(query).await.failure(), expected, "{query}");
    }
    for how in ["Exact", "NotOlderThan"] {
        let reply = list(&format!(
            "resourceVersion={future}&resourceVersionMatch={how}"
        ))
        .await;
        assert_eq!(
            reply.failure(),
            format!("504 Timeout: Timeout: Too large resource version: {future}, current: {last}")
        );
        assert_eq!(
            reply.value().get("details"),
            Some(&value!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1
            }))
        );
        assert_eq!(reply.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn pages_show_one_revision() {
    let cluster = Cluster::start().await;
    for i in 0..25 {
        make(
            &cluster,
            "ns",
            &format!("m{i:02}"),
            if i % 2 == 0 { "even" } else { "odd" },
        )
        .await;
    }
    let first = cluster.get(&format!("{MAPS}?limit=10")).await;
    let shown = first.ok();
    assert_eq!(shown.i64_at(&["metadata", "remainingItemCount"]), Some(15));
    let revision = shown.str_at(&["metadata", "resourceVersion"]).to_string();
    // What happens between pages does not show.
    make(&cluster, "ns", "m11b", "odd").await;
    assert_eq!(cluster.delete(&format!("{MAPS}/m20")).await.code, 200);
    let mut found = names(&first);
    let mut next = shown.str_at(&["metadata", "continue"]).to_string();
    while !next.is_empty() {
        let page = cluster
            .get(&format!("{MAPS}?limit=10&continue={next}"))
            .await;
        let shown = page.ok();
        assert_eq!(shown.str_at(&["metadata", "resourceVersion"]), revision);
        found.extend(names(&page));
        next = shown.str_at(&["metadata", "continue"]).to_string();
    }
    let expected: Vec<String> = (0..25).map(|i| format!("m{i:02}")).collect();
    assert_eq!(found, expected);

    let odd = cluster
        .get(&format!("{MAPS}?limit=5&labelSelector=l%3Dodd"))
        .await;
    let shown = odd.ok();
    assert_eq!(names(&odd), ["m01", "m03", "m05", "m07", "m09"]);
    assert_eq!(shown.i64_at(&["metadata", "remainingItemCount"]), None);
    let next = shown.str_at(&["metadata", "continue"]);
    let rest = cluster
        .get(&format!("{MAPS}?labelSelector=l%3Dodd&continue={next}"))
        .await;
    assert_eq!(names(&rest).len(), 8);

    // A token whose history is gone says where to go on all the same.
    let token = cluster.get(&format!("{MAPS}?limit=10")).await.ok();
    let token = token.str_at(&["metadata", "continue"]).to_string();
    make(&cluster, "ns", "zz", "x").await;
    let now = cluster.store.revision().await.expect("a revision");
    cluster.store.compact(now).await.expect("compacts");
    let expired = cluster
        .get(&format!("{MAPS}?limit=20&continue={token}"))
        .await;
    assert!(
        expired
            .failure()
            .starts_with("410 Expired: The provided continue parameter is too old")
    );
    let next = expired
        .value()
        .str_at(&["metadata", "continue"])
        .to_string();
    let rest = cluster
        .get(&format!("{MAPS}?limit=20&continue={next}"))
        .await;
    assert_eq!(names(&rest).first().map(String::as_str), Some("m10"));
    assert_eq!(names(&rest).last().map(String::as_str), Some("zz"));
    let exact = cluster
        .get(&format!(
            "{MAPS}?resourceVersion=1&resourceVersionMatch=Exact"
        ))
        .await;
    assert!(
        exact.failure().starts_with("410 Expired: "),
        "{}",
        exact.failure()
    );
    let rubbish = cluster.get(&format!("{MAPS}?continue=rubbish")).await;
    assert!(
        rubbish
            .failure()
            .starts_with("400 BadRequest: continue key is not valid: ")
    );
}

#[tokio::test]
async fn selectors_choose() {
    let cluster = Cluster::start().await;
    for (namespace, name, label) in [("ns", "a", "x"), ("ns", "b", "y"), ("other", "c", "x")] {
        make(&cluster, namespace, name, label).await;
    }
    let all = "/api/v1/configmaps";
    for (url, expected) in [
        (format!("{all}?labelSelector=l%3Dx"), "ac"),
        (format!("{all}?labelSelector=l!%3Dx"), "b"),
        (format!("{all}?labelSelector=l+in+(x,y)"), "abc"),
        (format!("{all}?labelSelector=!l"), ""),
        (format!("{all}?fieldSelector=metadata.name%3Da"), "a"),
        (
            format!("{all}?fieldSelector=metadata.namespace%3Dother"),
            "c",
        ),
        (
            format!("{all}?fieldSelector=metadata.namespace!%3Dother,metadata.name!%3Da"),
            "b",
        ),
        (format!("{MAPS}?labelSelector=l%3Dx"), "a"),
        (
            format!("{all}?limit=1&fieldSelector=metadata.name%3Dc"),
            "c",
        ),
    ] {
        assert_eq!(names(&cluster.get(&url).await).concat(), expected, "{url}");
    }
    let bad = cluster.get(&format!("{all}?fieldSelector=data%3Da")).await;
    assert_eq!(
        bad.failure(),
        "400 BadRequest: field label not supported: data"
    );
    let bad = cluster
        .get(&format!("{all}?labelSelector=a%3D%3D%3Db"))
        .await;
    assert!(
        bad.failure()
            .starts_with("400 BadRequest: unable to parse requirement: "),
        "{}",
        bad.failure()
    );
}

#[tokio::test]
async fn fields_of_each_kind_choose() {
    let cluster = Cluster::start().await;
    let pods = "/api/v1/namespaces/ns/pods";
    for (name, node) in [("a", "n1"), ("b", "n2"), ("c", "n1")] {
        let pod = value!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
        cluster.post(pods, &pod).await.ok();
    }
    let node = cluster
        .get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
        .await;
    assert_eq!(names(&node).concat(), "ac");
    let phase = cluster
        .get("/api/v1/pods?fieldSelector=status.phase%3DPending,spec.nodeName!%3Dn1")
        .await;
    assert_eq!(names(&phase).concat(), "b");
    for (name, uid) in [("e1", "u1"), ("e2", "u2")] {
        let event = value!({
            "metadata": {"name": name}, "reason": "R", "type": "Normal", "source": {"component": "k"},
            "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": uid}
        });
        cluster
            .post("/api/v1/namespaces/ns/events", &event)
            .await
            .ok();
    }
    let selector = "involvedObject.uid%3Du2,involvedObject.name%3Da,source%3Dk";
    let found = cluster
        .get(&format!("/api/v1/events?fieldSelector={selector}"))
        .await;
    assert_eq!(names(&found).concat(), "e2");
    let found = cluster
        .get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Da")
        .await;
    assert_eq!(names(&found).len(), 2);
    let items: Vec<Value> = found.ok().items_at(&["items"]).to_vec();
    assert_eq!(items[0].str_at(&["regarding", "kind"]), "Pod");
}
