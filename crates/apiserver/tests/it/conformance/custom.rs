//! Custom resources: their definitions, watches, defaults, documents and the
//! validation of their fields.

use super::{next, until, watch_from_now};
use crate::cluster::Cluster;
use meta::object::Object as _;
use meta::{Value, value};
use std::time::Duration;

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const STATUS: &[&str] = &["status", "conditions"];

/// A definition of `foos` in a group, with these versions and schemas; the
/// first is stored.
fn definition(group: &str, versions: &[(&str, &Value)]) -> Value {
    let version = |(i, (name, schema)): (usize, &(&str, &Value))| {
        value!({
            "name": *name, "served": true, "storage": i == 0, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": (*schema).clone()}
        })
    };
    let versions = versions.iter().enumerate().map(version).collect();
    value!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("foos.{group}"), "labels": {"of": group}},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": "foos", "singular": "foo", "kind": "Foo"},
            "versions": Value::Array(versions)
        }
    })
}

fn anything() -> Value {
    value!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A schema with a few fields, one of which has a description.
fn described() -> Value {
    value!({
        "type": "object", "description": "Foo CRD for Testing",
        "properties": {"spec": {"type": "object", "description": "Specification of Foo", "properties": {
            "bars": {"type": "array", "description": "List of Bars", "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "description": "Name of Bar."}, "age": {"type": "string"}}}}}}}
    })
}

fn foos(group: &str, version: &str) -> String {
    format!("/apis/{group}/{version}/namespaces/default/foos")
}

fn foo(group: &str, version: &str, name: &str) -> Value {
    value!({"apiVersion": format!("{group}/{version}"), "kind": "Foo", "metadata": {"name": name}})
}

/// Looks until a path answers with what is right.
async fn eventually(cluster: &Cluster, path: &str, right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2000 {
        let reply = cluster.get(path).await;
        if reply.code == 200 && right(&reply.value()) {
            return reply.value();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{path} does not come to answer what is right")
}

async fn define(cluster: &Cluster, group: &str, versions: &[(&str, &Value)]) {
    let crd = definition(group, versions);
    cluster.post(CRDS, &crd).await.ok();
    for (version, _) in versions {
        eventually(cluster, &foos(group, version), |_| true).await;
    }
}

#[tokio::test]
async fn definitions_are_listed_and_go_together() {
    let cluster = Cluster::start().await;
    for group in ["a.example.com", "b.example.com"] {
        let mut crd = definition(group, &[("v1", &anything())]);
        crd.set_at(&["metadata", "labels", "test"], "listing");
        cluster.post(CRDS, &crd).await.ok();
    }
    define(&cluster, "c.example.com", &[("v1", &anything())]).await;
    let selected = format!("{CRDS}?labelSelector=test%3Dlisting");
    let list = cluster.get(&selected).await.ok();
    assert_eq!(list.str_at(&["kind"]), "CustomResourceDefinitionList");
    assert_eq!(list.items_at(&["items"]).len(), 2);
    cluster.delete(&selected).await.ok();
    eventually(&cluster, &selected, |list| {
        list.items_at(&["items"]).is_empty()
    })
    .await;
    assert_eq!(
        cluster
            .get(&format!("{CRDS}/foos.c.example.com"))
            .await
            .code,
        200
    );
}

#[tokio::test]
async fn the_status_of_a_definition_has_its_door() {
    let cluster = Cluster::start().await;
    define(&cluster, "a.example.com", &[("v1", &anything())]).await;
    let status = format!("{CRDS}/foos.a.example.com/status");
    let is_accepted = |crd: &Value| !crd.items_at(STATUS).is_empty();
    let mut crd = eventually(&cluster, &status, is_accepted).await;
    let mut conditions = crd.items_at(STATUS).to_vec();
    conditions.push(value!({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}));
    crd.set_at(STATUS, Value::Array(conditions));
    crd.set_at(&["spec", "names", "categories"], value!(["ignored"]));
    let updated = cluster.put(&status, &crd).await.ok();
    let has = |crd: &Value, ty: &str| {
        let mut conditions = crd.items_at(STATUS).iter();
        conditions.any(|condition| condition.str_at(&["type"]) == ty)
    };
    assert!(has(&updated, "StatusUpdate"));
    assert_eq!(updated.at(&["spec", "names", "categories"]), None);
    let patch = value!({"status": {"conditions": [
        {"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "Set by an e2e test"}]}});
    let patched = cluster.patch("merge", &status, &patch).await.ok();
    assert!(has(&patched, "StatusPatched"));
}

#[tokio::test]
async fn watches_of_custom_objects_tell_what_happens() {
    let cluster = Cluster::start().await;
    define(&cluster, "a.example.com", &[("v1", &anything())]).await;
    let all = foos("a.example.com", "v1");
    let mut told = watch_from_now(&cluster, &all).await;
    for name in ["one", "two"] {
        cluster
            .post(&all, &foo("a.example.com", "v1", name))
            .await
            .ok();
        let (kind, object) = next(&mut told).await;
        assert_eq!((kind, object.name()), ("ADDED", name));
    }
    for name in ["one", "two"] {
        let patch = value!({"metadata": {"labels": {"x": "y"}}});
        cluster
            .patch("merge", &format!("{all}/{name}"), &patch)
            .await
            .ok();
        let (kind, object) = next(&mut told).await;
        assert_eq!((kind, object.name()), ("MODIFIED", name));
    }
    for name in ["one", "two"] {
        cluster.delete(&format!("{all}/{name}")).await.ok();
        let (kind, object) = next(&mut told).await;
        assert_eq!((kind, object.name()), ("DELETED", name));
    }
}

#[tokio::test]
async fn defaults_come_with_requests_and_from_the_store() {
    let cluster = Cluster::start().await;
    let text = |default: Option<&str>| match default {
        Some(default) => value!({"type": "string", "default": default}),
        None => value!({"type": "string"}),
    };
    let schema = |b: Option<&str>| value!({"type": "object", "properties": {"a": text(Some("A")), "b": text(b), "c": text(None)}});
    define(&cluster, "a.example.com", &[("v1", &schema(None))]).await;
    let all = foos("a.example.com", "v1");
    let made = cluster
        .post(&all, &foo("a.example.com", "v1", "one"))
        .await
        .ok();
    assert_eq!((made.str_at(&["a"]), made.at(&["b"])), ("A", None));
    let versions = definition("a.example.com", &[("v1", &schema(Some("B")))]);
    let patch = value!({"spec": {"versions": versions.items_at(&["spec", "versions"]).to_vec()}});
    let crd = format!("{CRDS}/foos.a.example.com");
    cluster.patch("merge", &crd, &patch).await.ok();
    let one = format!("{all}/one");
    let read = eventually(&cluster, &one, |object| object.str_at(&["b"]) == "B").await;
    assert_eq!((read.str_at(&["a"]), read.at(&["c"])), ("A", None));
    // What was stored without it keeps it once it is written.
    let patch = value!({"c": "C"});
    let written = cluster.patch("merge", &one, &patch).await.ok();
    assert_eq!((written.str_at(&["b"]), written.str_at(&["c"])), ("B", "C"));
}

#[tokio::test]
async fn definitions_are_in_the_discovery_documents() {
    let cluster = Cluster::start().await;
    let groups = cluster.get("/apis").await.ok();
    let groups = groups.items_at(&["groups"]);
    let group = groups
        .iter()
        .find(|g| g.str_at(&["name"]) == "apiextensions.k8s.io");
    let versions = group.expect("the group").items_at(&["versions"]);
    assert_eq!(
        versions[0].str_at(&["groupVersion"]),
        "apiextensions.k8s.io/v1"
    );
    let group = cluster.get("/apis/apiextensions.k8s.io").await.ok();
    assert_eq!(group.str_at(&["preferredVersion", "version"]), "v1");
    let version = cluster.get("/apis/apiextensions.k8s.io/v1").await.ok();
    let mut resources = version.items_at(&["resources"]).iter();
    assert!(resources.any(|r| r.str_at(&["name"]) == "customresourcedefinitions"));
}

#[tokio::test]
async fn custom_objects_are_selected_by_their_fields() {
    let cluster = Cluster::start().await;
    let schema = |host: &str| value!({"type": "object", "properties": {host: {"type": "string"}, "port": {"type": "string"}}});
    let mut crd = definition(
        "a.example.com",
        &[("v1", &schema("hostname")), ("v2", &schema("host"))],
    );
    let paths = [[".hostname", ".port"], [".host", ".port"]];
    let versions = crd
        .at_mut(&["spec", "versions"])
        .and_then(Value::as_array_mut);
    for (version, paths) in versions.expect("versions").iter_mut().zip(paths) {
        let fields = paths.iter().map(|path| value!({"jsonPath": *path}));
        version.set_at(&["selectableFields"], Value::Array(fields.collect()));
    }
    cluster.post(CRDS, &crd).await.ok();
    let (one, two) = (foos("a.example.com", "v1"), foos("a.example.com", "v2"));
    eventually(&cluster, &two, |_| true).await;
    let selected = format!("{one}?fieldSelector=hostname%3Da");
    let mut told = watch_from_now(&cluster, &selected).await;
    for (name, hostname, port) in [("x", "a", "80"), ("y", "b", "80"), ("z", "a", "8080")] {
        let mut object = foo("a.example.com", "v1", name);
        object.set_at(&["hostname"], hostname);
        object.set_at(&["port"], port);
        cluster.post(&one, &object).await.ok();
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list.items_at(&["items"]).iter();
        items.map(|item| item.name().to_string()).collect()
    };
    assert_eq!(names(&cluster.get(&selected).await.ok()), ["x", "z"]);
    let both = format!("{one}?fieldSelector=hostname%3Da%2Cport%3D80");
    assert_eq!(names(&cluster.get(&both).await.ok()), ["x"]);
    let by_port = format!("{two}?fieldSelector=port%3D8080");
    assert_eq!(names(&cluster.get(&by_port).await.ok()), ["z"]);
    let refused = cluster.get(&format!("{one}?fieldSelector=host%3Da")).await;
    assert_eq!(
        refused.failure(),
        "400 BadRequest: field label not supported: host"
    );
    assert_eq!(until(&mut told, "ADDED").await.name(), "x");
    assert_eq!(until(&mut told, "ADDED").await.name(), "z");
    let moved = value!({"hostname": "b"});
    cluster
        .patch("merge", &format!("{one}/x"), &moved)
        .await
        .ok();
    assert_eq!(until(&mut told, "DELETED").await.name(), "x");
}

/// The definition of a kind in `/openapi/v2`, when it is there.
fn published<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.at(&["definitions", name])
}

#[tokio::test]
async fn schemas_are_published() {
    let cluster = Cluster::start().await;
    define(&cluster, "a.example.com", &[("v1", &described())]).await;
    define(&cluster, "b.example.com", &[("v1", &anything())]).await;
    let name = |group: &str| format!("com.example.{group}.v1.Foo");
    let is_there = |document: &Value| {
        ["a", "b"]
            .iter()
            .all(|group| published(document, &name(group)).is_some())
    };
    let document = eventually(&cluster, "/openapi/v2", is_there).await;
    let with = published(&document, &name("a")).expect("the schema");
    assert_eq!(with.str_at(&["description"]), "Foo CRD for Testing");
    let bars = ["properties", "spec", "properties", "bars"];
    assert_eq!(
        with.at(&bars).map(|b| b.str_at(&["description"])),
        Some("List of Bars")
    );
    let gvk = &with.items_at(&["x-kubernetes-group-version-kind"])[0];
    assert_eq!(
        gvk,
        &value!({"group": "a.example.com", "kind": "Foo", "version": "v1"})
    );
    assert_eq!(
        with.str_at(&["properties", "metadata", "$ref"]),
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    let without = published(&document, &name("b")).expect("the schema");
    assert!(
        without.is_true_at(&["x-kubernetes-preserve-unknown-fields"]),
        "{without}"
    );
    let both = |suffix: &str| format!("/apis/{suffix}/v1/namespaces/{{namespace}}/foos");
    for group in ["a.example.com", "b.example.com"] {
        assert!(document.at(&["paths", &both(group)]).is_some(), "{group}");
    }
}

#[tokio::test]
async fn embedded_objects_of_any_form_are_published() {
    let cluster = Cluster::start().await;
    let schema = value!({"type": "object", "properties": {
        "spec": anything(),
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Status of Foo"}}});
    define(&cluster, "a.example.com", &[("v1", &schema)]).await;
    let name = "com.example.a.v1.Foo";
    let document = eventually(&cluster, "/openapi/v2", |d| published(d, name).is_some()).await;
    let status = published(&document, name).and_then(|foo| foo.at(&["properties", "status"]));
    let status = status.expect("the schema of the status");
    assert!(
        status.is_true_at(&["x-kubernetes-preserve-unknown-fields"]),
        "{status}"
    );
    let mut object = foo("a.example.com", "v1", "one");
    object.set_at(&["spec", "any", "thing"], value!([1, {"a": null}]));
    let strict = format!("{}?fieldValidation=Strict", foos("a.example.com", "v1"));
    let made = cluster.post(&strict, &object).await.ok();
    assert_eq!(made.at(&["spec"]), object.at(&["spec"]));
}

#[tokio::test]
async fn published_versions_follow_the_definition() {
    let cluster = Cluster::start().await;
    define(
        &cluster,
        "a.example.com",
        &[("v1", &described()), ("v2", &described())],
    )
    .await;
    let name = |version: &str| format!("com.example.a.{version}.Foo");
    let both = |document: &Value| {
        ["v1", "v2"]
            .iter()
            .all(|version| published(document, &name(version)).is_some())
    };
    let before = eventually(&cluster, "/openapi/v2", both).await;
    let crd = format!("{CRDS}/foos.a.example.com");
    // Renamed: the other version stays as it was.
    let renamed = definition(
        "a.example.com",
        &[("v1", &described()), ("v4", &described())],
    );
    let patch = value!({"spec": {"versions": renamed.items_at(&["spec", "versions"]).to_vec()}});
    cluster.patch("merge", &crd, &patch).await.ok();
    let is_renamed = |document: &Value| {
        published(document, &name("v4")).is_some() && published(document, &name("v2")).is_none()
    };
    let after = eventually(&cluster, "/openapi/v2", is_renamed).await;
    assert_eq!(
        published(&after, &name("v1")),
        published(&before, &name("v1"))
    );
    // Not served any more: gone.
    let mut versions = renamed.items_at(&["spec", "versions"]).to_vec();
    versions[1].set_at(&["served"], false);
    cluster
        .patch("merge", &crd, &value!({"spec": {"versions": versions}}))
        .await
        .ok();
    let is_gone = |document: &Value| published(document, &name("v4")).is_none();
    let after = eventually(&cluster, "/openapi/v2", is_gone).await;
    assert_eq!(
        published(&after, &name("v1")),
        published(&before, &name("v1"))
    );
}

#[tokio::test]
async fn kinds_of_one_group_are_published_side_by_side() {
    let cluster = Cluster::start().await;
    define(&cluster, "a.example.com", &[("v1", &described())]).await;
    let mut other = definition("a.example.com", &[("v1", &described())]);
    other.set_at(&["metadata", "name"], "bars.a.example.com");
    other.set_at(
        &["spec", "names"],
        value!({"plural": "bars", "singular": "bar", "kind": "Bar"}),
    );
    cluster.post(CRDS, &other).await.ok();
    eventually(&cluster, "/openapi/v2", |document| {
        ["Foo", "Bar"].iter().all(|kind| {
            let name = format!("com.example.a.v1.{kind}");
            published(document, &name).is_some()
        })
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_pass_without_a_schema() {
    let cluster = Cluster::start().await;
    define(&cluster, "a.example.com", &[("v1", &anything())]).await;
    let all = foos("a.example.com", "v1");
    let mut object = foo("a.example.com", "v1", "one");
    object.set_at(&["spec", "unknown"], 1);
    let made = cluster
        .post(&format!("{all}?fieldValidation=Strict"), &object)
        .await;
    assert_eq!((made.code, made.warnings().len()), (201, 0));
    let apply = format!("{all}/two?fieldManager=m&fieldValidation=Strict");
    object.set_at(&["metadata", "name"], "two");
    assert_eq!(cluster.apply(&apply, &object).await.code, 201);
    // What stands twice is found all the same.
    let twice = r#"{"apiVersion":"a.example.com/v1","kind":"Foo","metadata":{"name":"three"},"spec":{"x":1,"x":2}}"#;
    let refused = cluster
        .ask("POST", &format!("{all}?fieldValidation=Strict"), &[], twice)
        .await;
    assert_eq!(
        refused.failure(),
        "400 BadRequest: Foo in version \"v1\" cannot be handled as a Foo: strict decoding error: duplicate field \"spec.x\""
    );
    let warned = cluster.ask("POST", &all, &[], twice).await;
    assert_eq!(
        warned.warnings(),
        ["299 - \"duplicate field \\\"spec.x\\\"\""]
    );
    assert_eq!(warned.ok().i64_at(&["spec", "x"]), Some(2));
}

#[tokio::test]
async fn unknown_fields_of_metadata_are_found_at_any_depth() {
    let cluster = Cluster::start().await;
    let schema = value!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
            "metadata": {"type": "object"}, "spec": {"type": "object", "properties": {"x": {"type": "string"}}}}}}}}});
    define(&cluster, "a.example.com", &[("v1", &schema)]).await;
    let mut object = foo("a.example.com", "v1", "one");
    object.set_at(&["metadata", "unknownMeta"], "x");
    object.set_at(
        &["spec", "template"],
        value!({"apiVersion": "v1", "kind": "Bar", "metadata": {"name": "b", "unknownSubMeta": "x"}, "spec": {"x": "y"}}),
    );
    let strict = format!("{}?fieldValidation=Strict", foos("a.example.com", "v1"));
    assert_eq!(
        cluster.post(&strict, &object).await.failure(),
        "400 BadRequest: Foo in version \"v1\" cannot be handled as a Foo: strict decoding error: unknown field \"metadata.unknownMeta\", unknown field \"spec.template.metadata.unknownSubMeta\""
    );
    object.metadata_mut().remove("unknownMeta");
    object.remove_at(&["spec", "template", "metadata", "unknownSubMeta"]);
    cluster.post(&strict, &object).await.ok();
}

#[tokio::test]
async fn discovery_is_told_in_one_piece() {
    let cluster = Cluster::start().await;
    define(
        &cluster,
        "a.example.com",
        &[("v1", &anything()), ("v2", &anything())],
    )
    .await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let ask = async |path: &str| {
        let reply = cluster.ask("GET", path, &[("accept", accept)], "").await;
        assert_eq!(reply.header("content-type"), accept, "{path}");
        reply.ok()
    };
    let resources = |document: &Value, group: &str, version: &str| -> Vec<String> {
        let groups = document.items_at(&["items"]).iter();
        let group = groups.filter(|g| g.name() == group);
        let versions = group.flat_map(|g| g.items_at(&["versions"]));
        let version = versions.filter(|v| v.str_at(&["version"]) == version);
        let resources = version.flat_map(|v| v.items_at(&["resources"]));
        resources
            .map(|r| r.str_at(&["resource"]).to_string())
            .collect()
    };
    let core = ask("/api").await;
    assert_eq!(core.str_at(&["kind"]), "APIGroupDiscoveryList");
    assert!(resources(&core, "", "v1").contains(&"pods".to_string()));
    let groups = ask("/apis").await;
    assert!(resources(&groups, "apps", "v1").contains(&"deployments".to_string()));
    let crds = resources(&groups, "apiextensions.k8s.io", "v1");
    assert_eq!(crds, ["customresourcedefinitions"]);
    for version in ["v1", "v2"] {
        assert_eq!(resources(&groups, "a.example.com", version), ["foos"]);
    }
    cluster
        .delete(&format!("{CRDS}/foos.a.example.com"))
        .await
        .ok();
    for _ in 0..2000 {
        if resources(&ask("/apis").await, "a.example.com", "v1").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what is not defined any more is still discovered");
}
