//! What the server says of itself.

use crate::cluster::Cluster;
use meta::value;

#[tokio::test]
async fn every_group_has_its_preferred_version() {
    let cluster = Cluster::start().await;
    let list = cluster.get("/apis").await.ok();
    let groups = list.items_at(&["groups"]);
    assert!(groups.len() > 5);
    for group in groups {
        let name = group.str_at(&["name"]);
        let alone = cluster.get(&format!("/apis/{name}")).await.ok();
        assert_eq!(alone.str_at(&["kind"]), "APIGroup");
        let preferred = alone.str_at(&["preferredVersion", "groupVersion"]);
        assert!(!preferred.is_empty(), "{name}");
        let versions = alone.items_at(&["versions"]);
        let known = |v: &meta::Value| v.str_at(&["groupVersion"]) == preferred;
        assert!(versions.iter().any(known), "{name}");
        assert_eq!(alone.get("versions"), group.get("versions"), "{name}");
    }
}

#[tokio::test]
async fn every_group_leads_to_its_resources() {
    let cluster = Cluster::start().await;
    let list = cluster.get("/apis").await.ok();
    for group in list.items_at(&["groups"]) {
        for version in group.items_at(&["versions"]) {
            let version = version.str_at(&["groupVersion"]);
            let found = cluster.get(&format!("/apis/{version}")).await.ok();
            assert_eq!(found.str_at(&["kind"]), "APIResourceList", "{version}");
            assert_eq!(found.str_at(&["groupVersion"]), version);
            let resources = found.items_at(&["resources"]);
            assert!(!resources.is_empty(), "{version}");
            for resource in resources {
                for key in ["name", "kind"] {
                    assert!(!resource.str_at(&[key]).is_empty(), "{version} {resource}");
                }
                assert!(!resource.items_at(&["verbs"]).is_empty(), "{resource}");
            }
        }
    }
}

#[tokio::test]
async fn the_version_is_upstreams() {
    let cluster = Cluster::start().await;
    let version = cluster.get("/version").await.ok();
    assert_eq!(version.str_at(&["major"]), "1");
    let minor = version.str_at(&["minor"]).trim_end_matches('+');
    assert_eq!(minor.parse::<u32>().ok(), Some(37));
    assert!(version.str_at(&["gitVersion"]).starts_with("v1.37."));
    for key in ["gitCommit", "platform", "goVersion", "compiler"] {
        assert!(version.get(key).is_some(), "{key}");
    }
}

#[tokio::test]
async fn reviews_have_no_table() {
    let cluster = Cluster::start().await;
    let review = value!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}
    });
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let url = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let refused = cluster.ask("POST", url, &accept, review.to_json()).await;
    let words = refused.failure();
    assert!(words.starts_with("406 NotAcceptable: "), "{words}");
}
