//! OpenAPI as clients read it.

use crate::cluster::{Cluster, kubectls};
use meta::Value;
use std::collections::BTreeSet;

const PROTO: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Every reference of a document, and where it leads.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter() {
                match (key.as_str(), inner) {
                    ("$ref", Value::String(target)) => {
                        found.insert(target);
                    }
                    _ => references(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn check_references(document: &Value, home: &str, schemas: &Value) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    for target in &found {
        let name = target.strip_prefix(home).expect("a local reference");
        assert!(schemas.get(name).is_some(), "{target} leads nowhere");
    }
    assert!(found.len() > 3);
}

#[tokio::test]
async fn documents_are_whole_and_are_told_apart_by_their_hash() {
    let cluster = Cluster::start().await;
    let index = cluster.get("/openapi/v3").await.ok();
    let paths = index
        .get("paths")
        .and_then(Value::as_object)
        .expect("paths");
    assert!(paths.contains_key("api/v1") && paths.contains_key("apis/apps/v1"));
    for (_, entry) in paths.iter() {
        let url = entry.str_at(&["serverRelativeURL"]);
        let reply = cluster.get(url).await;
        assert_eq!(
            reply.header("cache-control"),
            "public, immutable, max-age=31536000"
        );
        let document = reply.ok();
        let schemas = document.at(&["components", "schemas"]).expect("schemas");
        check_references(&document, "#/components/schemas/", schemas);
        let etag = reply.header("etag").to_string();
        let again = cluster
            .ask("GET", url, &[("if-none-match", &etag)], "")
            .await;
        assert_eq!((again.code, again.body.len()), (304, 0));
        let stale = url.split('?').next().expect("a path").to_string() + "?hash=0";
        let moved = cluster.get(&stale).await;
        assert_eq!((moved.code, moved.header("location")), (301, url));
    }
    assert_eq!(cluster.get("/openapi/v3/apis/nonsense/v1").await.code, 404);
    assert_eq!(cluster.get("/openapi/v4").await.code, 404);
}

#[tokio::test]
async fn fields_are_described_as_the_schema_has_them() {
    let cluster = Cluster::start().await;
    let document = cluster.get("/openapi/v3/api/v1").await.ok();
    let schema = |name: &str| {
        let found = document.at(&["components", "schemas", name]);
        found.unwrap_or_else(|| panic!("{name}")).clone()
    };
    let container = schema("io.k8s.api.core.v1.Container");
    let ports = container.at(&["properties", "ports"]).expect("ports");
    assert_eq!(ports.str_at(&["x-kubernetes-list-type"]), "map");
    assert_eq!(
        ports.str_at(&["x-kubernetes-patch-merge-key"]),
        "containerPort"
    );
    assert_eq!(
        container.items_at(&["required"]),
        [Value::from("name")],
        "{container}"
    );
    let policy = container
        .at(&["properties", "imagePullPolicy"])
        .expect("it");
    assert_eq!(policy.items_at(&["enum"]).len(), 3);
    assert!(policy.str_at(&["description"]).len() > 40);
    let pod = schema("io.k8s.api.core.v1.Pod");
    let gvk = &pod.items_at(&["x-kubernetes-group-version-kind"])[0];
    assert_eq!(gvk.str_at(&["kind"]), "Pod");
    let time = schema("io.k8s.apimachinery.pkg.apis.meta.v1.Time");
    assert_eq!(time.str_at(&["format"]), "date-time");
}

#[tokio::test]
async fn version_two_is_one_document_in_two_forms() {
    let cluster = Cluster::start().await;
    let reply = cluster.get("/openapi/v2").await;
    let document = reply.ok();
    let definitions = document.get("definitions").expect("definitions");
    check_references(&document, "#/definitions/", definitions);
    let proto = cluster
        .ask("GET", "/openapi/v2", &[("accept", PROTO)], "")
        .await;
    assert_eq!(
        proto.header("content-type"),
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    assert!(proto.body.starts_with(b"\x0a\x032.0"));
    let packed = cluster
        .ask("GET", "/openapi/v2", &[("accept-encoding", "gzip")], "")
        .await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() * 4 < reply.body.len());
    let refused = cluster
        .ask("GET", "/openapi/v2", &[("accept", "text/html")], "")
        .await;
    assert_eq!(refused.code, 406);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_explains() {
    let cluster = Cluster::start().await;
    for program in kubectls() {
        let k = async |args: &str| {
            let args: Vec<&str> = args.split(' ').collect();
            let output = cluster.run(&program, &args, None).await;
            output.unwrap_or_else(|e| panic!("{program} {args:?}: {e}"))
        };
        let pod = k("explain pods").await;
        assert!(pod.contains("KIND:       Pod"), "{pod}");
        assert!(
            pod.contains("<PodSpec>") && pod.contains("Pod is a collection"),
            "{pod}"
        );
        let policy = k("explain pods.spec.containers.imagePullPolicy").await;
        assert!(
            policy.contains("FIELD: imagePullPolicy <string>"),
            "{policy}"
        );
        assert!(policy.contains("IfNotPresent"), "{policy}");
        let tree = k("explain pods.spec.containers --recursive").await;
        for line in [
            "  env\t<[]EnvVar>",
            "      configMapKeyRef\t<ConfigMapKeySelector>",
            "  name\t<string> -required-",
            "    limits\t<map[string]Quantity>",
        ] {
            assert!(tree.contains(line), "no {line:?} in\n{tree}");
        }
        let deploy = k("explain deploy.spec.strategy --api-version=apps/v1").await;
        assert!(deploy.contains("GROUP:      apps"), "{deploy}");
        let meta = k("explain cm.metadata.creationTimestamp").await;
        assert!(meta.contains("<string>"), "{meta}");
        let port = k("explain svc.spec.ports.targetPort").await;
        assert!(port.contains("<IntOrString>"), "{port}");
        if !program.ends_with("1.27") {
            let old = k("explain rs --output=plaintext-openapiv2").await;
            assert!(old.contains("KIND:     ReplicaSet"), "{old}");
        }
    }
}
