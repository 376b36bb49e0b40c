//! Deletes: finalizers, grace, propagation, preconditions, collections.

use crate::cluster::Cluster;
use meta::{Value, time, value};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const PODS: &str = "/api/v1/namespaces/ns/pods";

async fn pod(cluster: &Cluster, name: &str, node: &str) -> Value {
    let mut pod =
        value!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    if !node.is_empty() {
        pod.set_at(&["spec", "nodeName"], node);
    }
    cluster.post(PODS, &pod).await.ok()
}

async fn delete(cluster: &Cluster, uri: &str, options: Value) -> (u16, Value) {
    let reply = cluster.ask("DELETE", uri, &[], options.to_json()).await;
    (reply.code, reply.value())
}

#[tokio::test]
async fn a_delete_says_what_it_deleted() {
    let cluster = Cluster::start().await;
    let made = cluster
        .post(MAPS, &value!({"metadata": {"name": "a"}}))
        .await
        .ok();
    let (code, status) = delete(&cluster, &format!("{MAPS}/a"), value!({})).await;
    assert_eq!(code, 200);
    assert_eq!(
        status,
        value!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": made.str_at(&["metadata", "uid"])}
        })
    );
    let again = cluster.delete(&format!("{MAPS}/a")).await;
    assert_eq!(again.failure(), "404 NotFound: configmaps \"a\" not found");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let cluster = Cluster::start().await;
    let one = format!("{MAPS}/a");
    let object = value!({"metadata": {"name": "a", "finalizers": ["x.io/f"]}});
    cluster.post(MAPS, &object).await.ok();
    let (code, going) = delete(&cluster, &one, value!({})).await;
    assert_eq!(code, 200);
    assert_eq!(going.str_at(&["kind"]), "ConfigMap");
    assert!(!going.str_at(&["metadata", "deletionTimestamp"]).is_empty());
    assert_eq!(
        going.i64_at(&["metadata", "deletionGracePeriodSeconds"]),
        Some(0)
    );
    let (_, again) = delete(&cluster, &one, value!({})).await;
    assert_eq!(again, going, "a second delete changes nothing");
    let more = value!({"metadata": {"finalizers": ["x.io/f", "x.io/g"]}});
    let refused = cluster.patch("merge", &one, &more).await;
    assert!(
        refused.failure().contains("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.io/g\"}"),
        "{}",
        refused.failure()
    );
    let last = cluster
        .patch("merge", &one, &value!({"metadata": {"finalizers": null}}))
        .await;
    assert_eq!(last.code, 200);
    assert_eq!(cluster.get(&one).await.code, 404);
}

#[tokio::test]
async fn propagation_becomes_finalizers() {
    let cluster = Cluster::start().await;
    for (policy, expected) in [
        ("Orphan", Some("orphan")),
        ("Foreground", Some("foregroundDeletion")),
        ("Background", None),
    ] {
        let one = format!("{MAPS}/a");
        cluster
            .post(MAPS, &value!({"metadata": {"name": "a"}}))
            .await
            .ok();
        let (code, _) = delete(&cluster, &one, value!({"propagationPolicy": policy})).await;
        assert_eq!(code, 200);
        let left = cluster.get(&one).await;
        match expected {
            None => assert_eq!(left.code, 404, "{policy}"),
            Some(finalizer) => {
                let finalizers = left.ok().items_at(&["metadata", "finalizers"]).to_vec();
                assert_eq!(finalizers, [Value::from(finalizer)]);
                let free = value!({"metadata": {"finalizers": []}});
                cluster.patch("merge", &one, &free).await.ok();
            }
        }
    }
    cluster
        .post(MAPS, &value!({"metadata": {"name": "a"}}))
        .await
        .ok();
    let both = value!({"propagationPolicy": "Orphan", "orphanDependents": true});
    let reply = cluster
        .ask("DELETE", &format!("{MAPS}/a"), &[], both.to_json())
        .await;
    assert_eq!(
        reply.failure(),
        "422 Invalid: DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set"
    );
    let odd = value!({"propagationPolicy": "Sideways"});
    let reply = cluster
        .ask("DELETE", &format!("{MAPS}/a"), &[], odd.to_json())
        .await;
    assert_eq!(
        reply.failure(),
        "422 Invalid: DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Sideways\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
    );
    let odd = cluster
        .delete(&format!("{MAPS}/a?propagationPolicy=Foreground"))
        .await;
    assert_eq!(odd.ok().str_at(&["kind"]), "ConfigMap");
}

#[tokio::test]
async fn preconditions_are_kept() {
    let cluster = Cluster::start().await;
    let made = cluster
        .post(MAPS, &value!({"metadata": {"name": "a"}}))
        .await
        .ok();
    let one = format!("{MAPS}/a");
    let uid = made.str_at(&["metadata", "uid"]);
    let refused = |options: Value| {
        let (cluster, one) = (&cluster, &one);
        async move {
            cluster
                .ask("DELETE", one, &[], options.to_json())
                .await
                .failure()
        }
    };
    assert_eq!(
        refused(value!({"preconditions": {"uid": "x"}})).await,
        format!(
            "409 Conflict: Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (x) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    let version = made.str_at(&["metadata", "resourceVersion"]);
    assert_eq!(
        refused(value!({"preconditions": {"resourceVersion": "1000"}})).await,
        format!(
            "409 Conflict: Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1000) does not match the ResourceVersion in record ({version}). The object might have been modified"
        )
    );
    let right = value!({"preconditions": {"uid": uid, "resourceVersion": version}});
    assert_eq!(delete(&cluster, &one, right).await.0, 200);
}

#[tokio::test]
async fn pods_end_gracefully() {
    let cluster = Cluster::start().await;
    // One that runs nowhere is gone at once, and is what is answered.
    pod(&cluster, "free", "").await;
    let (_, gone) = delete(&cluster, &format!("{PODS}/free"), value!({})).await;
    assert_eq!(gone.str_at(&["kind"]), "Pod");
    assert_eq!(cluster.get(&format!("{PODS}/free")).await.code, 404);

    let made = pod(&cluster, "bound", "n").await;
    let one = format!("{PODS}/bound");
    let (_, going) = delete(&cluster, &one, value!({})).await;
    assert_eq!(
        going.i64_at(&["metadata", "deletionGracePeriodSeconds"]),
        Some(30)
    );
    let at = |object: &Value| {
        let text = object
            .str_at(&["metadata", "deletionTimestamp"])
            .to_string();
        time::parse(&text).expect("a time").as_second()
    };
    let born = time::parse(made.str_at(&["metadata", "creationTimestamp"])).expect("a time");
    assert!(at(&going) >= born.as_second() + 30);
    let (_, longer) = delete(&cluster, &one, value!({"gracePeriodSeconds": 60})).await;
    assert_eq!(longer, going, "grace is never lengthened");
    let (_, plain) = delete(&cluster, &one, value!({"propagationPolicy": "Foreground"})).await;
    assert_eq!(plain, going, "nor are finalizers added while it runs");
    let (_, shorter) = delete(&cluster, &one, value!({"gracePeriodSeconds": 5})).await;
    assert_eq!(
        shorter.i64_at(&["metadata", "deletionGracePeriodSeconds"]),
        Some(5)
    );
    assert_eq!(at(&shorter), at(&going) - 25);
    let (code, _) = delete(&cluster, &one, value!({"gracePeriodSeconds": 0})).await;
    assert_eq!(code, 200);
    assert_eq!(cluster.get(&one).await.code, 404);

    pod(&cluster, "done", "n").await;
    let status = value!({"status": {"phase": "Succeeded"}});
    cluster
        .patch("merge", &format!("{PODS}/done/status"), &status)
        .await
        .ok();
    delete(&cluster, &format!("{PODS}/done"), value!({})).await;
    assert_eq!(
        cluster.get(&format!("{PODS}/done")).await.code,
        404,
        "one that has ended is gone at once"
    );

    let mut held = value!({"metadata": {"name": "held", "finalizers": ["x.io/f"]}});
    held.set_at(
        &["spec"],
        value!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}),
    );
    cluster.post(PODS, &held).await.ok();
    let one = format!("{PODS}/held");
    delete(&cluster, &one, value!({"gracePeriodSeconds": 0})).await;
    let left = cluster.get(&one).await.ok();
    assert_eq!(
        left.i64_at(&["metadata", "deletionGracePeriodSeconds"]),
        Some(0)
    );
    cluster
        .patch(
            "json",
            &one,
            &value!([{"op": "remove", "path": "/metadata/finalizers"}]),
        )
        .await
        .ok();
    assert_eq!(cluster.get(&one).await.code, 404);
}

#[tokio::test]
async fn collections_are_deleted_by_selection() {
    let cluster = Cluster::start().await;
    for (name, label) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let object = value!({"metadata": {"name": name, "labels": {"l": label}}});
        cluster.post(MAPS, &object).await.ok();
    }
    let dry = cluster
        .delete(&format!("{MAPS}?labelSelector=l%3Dx&dryRun=All"))
        .await
        .ok();
    assert_eq!(dry.items_at(&["items"]).len(), 2);
    let gone = cluster
        .delete(&format!("{MAPS}?labelSelector=l%3Dx"))
        .await
        .ok();
    assert_eq!(gone.str_at(&["kind"]), "ConfigMapList");
    assert_eq!(gone.items_at(&["items"]).len(), 2);
    let left = cluster.get(MAPS).await.ok();
    assert_eq!(left.items_at(&["items"]).len(), 1);
    assert_eq!(
        cluster
            .delete(&format!("{MAPS}?fieldSelector=metadata.name%3Dc"))
            .await
            .code,
        200
    );
    assert!(cluster.get(MAPS).await.ok().items_at(&["items"]).is_empty());
    let everywhere = cluster.delete("/api/v1/configmaps").await;
    assert_eq!(everywhere.code, 405);
}

#[tokio::test]
async fn a_namespace_goes_when_its_own_finalizer_does() {
    let cluster = Cluster::start().await;
    let made = cluster
        .post("/api/v1/namespaces", &value!({"metadata": {"name": "n"}}))
        .await
        .ok();
    assert_eq!(
        made.items_at(&["spec", "finalizers"]),
        [Value::from("kubernetes")]
    );
    let one = "/api/v1/namespaces/n";
    let (_, going) = delete(&cluster, one, value!({})).await;
    assert_eq!(going.str_at(&["status", "phase"]), "Terminating");
    let mut freed = cluster.get(one).await.ok();
    freed.remove_at(&["spec", "finalizers"]);
    // The main door does not free it.
    let kept = cluster.put(one, &freed).await.ok();
    assert_eq!(kept.items_at(&["spec", "finalizers"]).len(), 1);
    freed.set_at(
        &["metadata", "resourceVersion"],
        kept.str_at(&["metadata", "resourceVersion"]),
    );
    let done = cluster.put(&format!("{one}/finalize"), &freed).await;
    assert_eq!(done.code, 200, "{}", done.text());
    assert_eq!(cluster.get(one).await.code, 404);
}

#[tokio::test]
async fn a_namespace_that_is_being_emptied_heeds_its_first_delete_only() {
    let cluster = Cluster::start().await;
    let one = "/api/v1/namespaces/n";
    let namespace = value!({"metadata": {"name": "n", "finalizers": ["x.io/f"]}});
    cluster.post("/api/v1/namespaces", &namespace).await.ok();
    let (_, going) = delete(&cluster, one, value!({"propagationPolicy": "Foreground"})).await;
    let finalizers = |namespace: &Value| namespace.items_at(&["metadata", "finalizers"]).to_vec();
    let both = ["x.io/f", "foregroundDeletion"].map(Value::from);
    assert_eq!(finalizers(&going), both);
    for policy in ["Orphan", "Background", "Foreground"] {
        let (code, again) = delete(&cluster, one, value!({"propagationPolicy": policy})).await;
        assert_eq!((code, &again), (200, &going), "{policy}");
    }
    // Once it is empty, deletes are as those of everything else.
    let mut empty = cluster.get(one).await.ok();
    empty.remove_at(&["spec", "finalizers"]);
    let done = cluster.put(&format!("{one}/finalize"), &empty).await;
    assert_eq!(finalizers(&done.ok()), both);
    let (_, orphaning) = delete(&cluster, one, value!({"propagationPolicy": "Orphan"})).await;
    assert_eq!(
        finalizers(&orphaning),
        ["x.io/f", "orphan"].map(Value::from)
    );
}

#[tokio::test]
async fn events_live_an_hour() {
    let event = api::kinds().find(|k| k.card().kind == "Event" && k.card().group.is_empty());
    let ttl = event.and_then(api::Kind::ttl);
    assert_eq!(ttl, Some(std::time::Duration::from_secs(3600)));
}
