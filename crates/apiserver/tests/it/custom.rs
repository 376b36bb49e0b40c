//! Custom resources: kinds that come and go while the server runs.

use crate::cluster::{Cluster, has_kubectl, parse};
use meta::object::Object as _;
use meta::{Value, value};
use std::time::Duration;
use stdx::{Clock, Rng};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const CRD: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/crontabs.stable.example.com";
const TABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";
const OLD_TABS: &str = "/apis/stable.example.com/v1beta1/namespaces/default/crontabs";

/// The example of the documentation, with everything that a version can say.
fn crontabs() -> Value {
    let schema = value!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "required": ["cronSpec"], "properties": {
                "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
                "image": {"type": "string"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "color": {"type": "string"},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "port": {"type": "integer"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
            }},
            "status": {"type": "object", "properties": {
                "replicas": {"type": "integer"}, "labelSelector": {"type": "string"}}}
        }
    });
    let version = |name: &str, storage: bool| {
        value!({
            "name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema.clone()},
            "subresources": {"status": {}, "scale": {
                "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.labelSelector"}},
            "selectableFields": [{"jsonPath": ".spec.color"}],
            "additionalPrinterColumns": [
                {"name": "Spec", "type": "string", "description": "When", "jsonPath": ".spec.cronSpec"},
                {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1},
                {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
        })
    };
    value!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab",
                "shortNames": ["ct"], "categories": ["all"]},
            "versions": [version("v1", true), version("v1beta1", false)]
        }
    })
}

fn tab(name: &str) -> Value {
    value!({
        "apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * */5", "image": "my-awesome-cron-image"}
    })
}

/// Polls until a path answers with a code.
async fn until(cluster: &Cluster, path: &str, code: u16) {
    for _ in 0..2000 {
        if cluster.get(path).await.code == code {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{path} does not come to answer {code}");
}

async fn defined() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.post(CRDS, &crontabs()).await.ok();
    until(&cluster, TABS, 200).await;
    cluster
}

#[tokio::test]
async fn a_definition_is_served_and_says_so() {
    let cluster = defined().await;
    let crd = cluster.get(CRD).await.ok();
    let conditions: Vec<String> = crd
        .items_at(&["status", "conditions"])
        .iter()
        .map(|c| {
            format!(
                "{}={} {}",
                c.str_at(&["type"]),
                c.str_at(&["status"]),
                c.str_at(&["reason"])
            )
        })
        .collect();
    assert_eq!(
        conditions,
        [
            "NamesAccepted=True NoConflicts",
            "Established=True InitialNamesAccepted"
        ]
    );
    assert_eq!(
        crd.items_at(&["status", "storedVersions"]),
        [Value::from("v1")]
    );
    let list = cluster.get("/apis/stable.example.com/v1").await.ok();
    let names: Vec<&str> = list
        .items_at(&["resources"])
        .iter()
        .map(|r| r.str_at(&["name"]))
        .collect();
    assert_eq!(names, ["crontabs", "crontabs/scale", "crontabs/status"]);
    let index = cluster.get("/openapi/v3").await.ok();
    let url = index.str_at(&["paths", "apis/stable.example.com/v1", "serverRelativeURL"]);
    let document = cluster.get(url).await.ok();
    let schema = document.at(&["components", "schemas", "com.example.stable.v1.CronTab"]);
    let schema = schema.expect("the schema of the kind");
    assert_eq!(
        schema.str_at(&["properties", "spec", "properties", "image", "type"]),
        "string"
    );
    let v2 = cluster.get("/openapi/v2").await.ok();
    assert!(
        v2.at(&["definitions", "com.example.stable.v1.CronTabList"])
            .is_some()
    );
}

#[tokio::test]
async fn objects_pass_the_same_pipeline() {
    let cluster = defined().await;
    let mut object = tab("a");
    object.set_at(&["spec", "odd"], 1);
    object.set_at(&["spec", "free", "anything"], value!([null, {}]));
    object.set_at(&["status", "replicas"], 7);
    let reply = cluster.post(TABS, &object).await;
    assert_eq!(
        reply.warnings(),
        ["299 - \"unknown field \\\"spec.odd\\\"\""]
    );
    let made = reply.ok();
    assert_eq!(made.i64_at(&["spec", "replicas"]), Some(1));
    assert_eq!(made.at(&["spec", "odd"]), None);
    assert_eq!(
        made.at(&["spec", "free", "anything"]),
        Some(&value!([null, {}]))
    );
    assert_eq!((made.generation(), made.at(&["status"])), (1, None));
    let strict = format!("{TABS}?fieldValidation=Strict");
    object.set_at(&["metadata", "name"], "b");
    assert_eq!(
        cluster.post(&strict, &object).await.failure(),
        "400 BadRequest: CronTab in version \"v1\" cannot be handled as a CronTab: strict decoding error: unknown field \"spec.odd\""
    );
    object.set_at(&["spec", "replicas"], 15);
    assert_eq!(
        cluster.post(TABS, &object).await.failure(),
        "422 Invalid: CronTab.stable.example.com \"b\" is invalid: spec.replicas: Invalid value: 15: spec.replicas in body should be less than or equal to 10"
    );
    let list = cluster.get(TABS).await.ok();
    assert_eq!(list.str_at(&["kind"]), "CronTabList");
    assert_eq!(list.items_at(&["items"])[0].str_at(&["kind"]), "CronTab");
    let other = cluster.get(&format!("{OLD_TABS}/a")).await.ok();
    assert_eq!(other.str_at(&["apiVersion"]), "stable.example.com/v1beta1");
    assert_eq!(other.uid(), made.uid());
}

#[tokio::test]
async fn objects_say_what_they_are() {
    let cluster = defined().await;
    let mut object = tab("a");
    object.set_at(&["kind"], "Cron");
    assert_eq!(
        cluster.post(TABS, &object).await.failure(),
        "422 Invalid: Cron.stable.example.com \"a\" is invalid: kind: Invalid value: \"Cron\": must be CronTab"
    );
    object.remove_at(&["kind"]);
    assert_eq!(
        cluster.post(TABS, &object).await.failure(),
        "400 BadRequest: Object 'Kind' is missing in 'unstructured object has no kind'"
    );
    let mut object = tab("a");
    object.remove_at(&["apiVersion"]);
    assert_eq!(
        cluster.post(TABS, &object).await.failure(),
        "400 BadRequest: the API version in the data () does not match the expected API version (stable.example.com/v1)"
    );
    // A number that nobody can write down again must not come in.
    let monster = tab("a")
        .to_json()
        .replace(r#""spec":{"#, r#""spec":{"free":{"x":1e400},"#);
    let refused = cluster.ask("POST", TABS, &[], monster).await.failure();
    let why = "json: cannot unmarshal number 1e400 into Go value of type float64";
    assert!(refused.contains(why), "{refused}");
}

#[tokio::test]
async fn generation_status_and_scale_have_their_doors() {
    let cluster = defined().await;
    cluster.post(TABS, &tab("a")).await.ok();
    let status =
        value!({"status": {"replicas": 2, "labelSelector": "app=a"}, "spec": {"image": "x"}});
    let object = cluster
        .patch("merge", &format!("{TABS}/a/status"), &status)
        .await
        .ok();
    assert_eq!(
        (object.generation(), object.i64_at(&["status", "replicas"])),
        (1, Some(2))
    );
    assert_eq!(object.str_at(&["spec", "image"]), "my-awesome-cron-image");
    let spec = value!({"spec": {"image": "y"}, "status": {"replicas": 9}});
    let object = cluster
        .patch("merge", &format!("{TABS}/a"), &spec)
        .await
        .ok();
    assert_eq!(
        (object.generation(), object.i64_at(&["status", "replicas"])),
        (2, Some(2))
    );
    let scale = cluster.get(&format!("{TABS}/a/scale")).await.ok();
    assert_eq!(scale.get("spec"), Some(&value!({"replicas": 1})));
    assert_eq!(
        scale.get("status"),
        Some(&value!({"replicas": 2, "selector": "app=a"}))
    );
    let wanted = value!({"spec": {"replicas": 4}});
    cluster
        .patch("merge", &format!("{TABS}/a/scale"), &wanted)
        .await
        .ok();
    let object = cluster.get(&format!("{TABS}/a")).await.ok();
    assert_eq!(
        (object.generation(), object.i64_at(&["spec", "replicas"])),
        (3, Some(4))
    );
}

#[tokio::test]
async fn patches_and_forms_that_need_a_type_are_refused() {
    let cluster = defined().await;
    cluster.post(TABS, &tab("a")).await.ok();
    let path = format!("{TABS}/a");
    let patch = cluster.patch("strategic-merge", &path, &value!({})).await;
    assert_eq!(
        patch.failure(),
        "415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
    let protobuf = [("accept", "application/vnd.kubernetes.protobuf")];
    assert_eq!(cluster.ask("GET", &path, &protobuf, "").await.code, 406);
    let body = [("content-type", "application/vnd.kubernetes.protobuf")];
    assert_eq!(cluster.ask("POST", TABS, &body, "k8s\0").await.code, 415);
    let mut bare = tab("a");
    bare.set_at(&["spec", "image"], "z");
    assert_eq!(cluster.put(&path, &bare).await.code, 422);
}

#[tokio::test]
async fn apply_merges_lists_by_their_keys() {
    let cluster = defined().await;
    let path = |manager: &str| format!("{TABS}/a?fieldManager={manager}");
    let mut one = tab("a");
    one.set_at(&["spec", "ports"], value!([{"name": "http", "port": 80}]));
    assert_eq!(cluster.apply(&path("one"), &one).await.code, 201);
    let two = value!({
        "apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a"},
        "spec": {"ports": [{"name": "https", "port": 443}]}
    });
    let merged = cluster.apply(&path("two"), &two).await.ok();
    let names: Vec<&str> = merged
        .items_at(&["spec", "ports"])
        .iter()
        .map(|p| p.str_at(&["name"]))
        .collect();
    assert_eq!(names, ["http", "https"]);
    let mut clash = two.clone();
    clash.set_at(&["spec", "ports"], value!([{"name": "http", "port": 8080}]));
    assert_eq!(
        cluster.apply(&path("two"), &clash).await.failure(),
        "409 Conflict: Apply failed with 1 conflict: conflict with \"one\": .spec.ports[name=\"http\"].port"
    );
    let mut odd = two;
    odd.set_at(&["spec", "odd"], 1);
    let refused = cluster.apply(&path("two"), &odd).await;
    assert!(
        refused
            .text()
            .contains(".spec.odd: field not declared in schema"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn watches_and_selectors_follow_all_versions() {
    let cluster = defined().await;
    let mut watches = Vec::new();
    for path in [TABS, OLD_TABS] {
        let uri = format!("{path}?watch=true&fieldSelector=spec.color%3Dred");
        watches.push(cluster.watch(&uri, &[]).await);
    }
    let mut red = tab("red");
    red.set_at(&["spec", "color"], "red");
    cluster.post(TABS, &red).await.ok();
    cluster.post(TABS, &tab("plain")).await.ok();
    cluster
        .patch(
            "merge",
            &format!("{TABS}/red"),
            &value!({"spec": {"color": "blue"}}),
        )
        .await
        .ok();
    for watch in &mut watches {
        let told = Cluster::told(watch, 2).await;
        assert!(told[0].starts_with("ADDED red "), "{told:?}");
        assert!(told[1].starts_with("DELETED red "), "{told:?}");
    }
    let selected = cluster
        .get(&format!("{OLD_TABS}?fieldSelector=spec.color%3Dblue"))
        .await
        .ok();
    let items = selected.items_at(&["items"]);
    assert_eq!(
        (items.len(), items[0].str_at(&["apiVersion"])),
        (1, "stable.example.com/v1beta1")
    );
    let refused = cluster
        .get(&format!("{TABS}?fieldSelector=spec.image%3Dx"))
        .await;
    assert_eq!(
        refused.failure(),
        "400 BadRequest: field label not supported: spec.image"
    );
}

#[tokio::test]
async fn a_schema_can_change_under_its_objects() {
    let cluster = defined().await;
    cluster.post(TABS, &tab("a")).await.ok();
    let mut crd = cluster.get(CRD).await.ok();
    let versions = crd
        .at_mut(&["spec", "versions"])
        .and_then(Value::as_array_mut)
        .expect("versions");
    for version in versions.iter_mut() {
        let spec = [
            "schema",
            "openAPIV3Schema",
            "properties",
            "spec",
            "properties",
            "suspend",
        ];
        version.set_at(&spec, value!({"type": "boolean", "default": false}));
    }
    versions[1].set_at(&["served"], false);
    cluster.put(CRD, &crd).await.ok();
    until(&cluster, OLD_TABS, 404).await;
    let object = cluster.get(&format!("{TABS}/a")).await.ok();
    assert_eq!(object.at(&["spec", "suspend"]), Some(&false.into()));
    let list = cluster.get(TABS).await.ok();
    assert_eq!(
        list.items_at(&["items"])[0].at(&["spec", "suspend"]),
        Some(&false.into())
    );
}

#[tokio::test]
async fn deletion_takes_the_objects_along() {
    let cluster = defined().await;
    let mut held = tab("held");
    held.set_at(&["metadata", "finalizers"], value!(["example.com/mine"]));
    cluster.post(TABS, &held).await.ok();
    cluster.post(TABS, &tab("a")).await.ok();
    let crd = cluster.delete(CRD).await.ok();
    assert!(
        crd.finalizers()
            .contains(&"customresourcecleanup.apiextensions.k8s.io")
    );
    until(&cluster, &format!("{TABS}/a"), 404).await;
    assert_eq!(
        cluster.post(TABS, &tab("b")).await.failure(),
        "405 MethodNotAllowed: create not allowed while custom resource definition is terminating"
    );
    assert_eq!(cluster.get(CRD).await.code, 200);
    let free = value!({"metadata": {"finalizers": null}});
    cluster
        .patch("merge", &format!("{TABS}/held"), &free)
        .await
        .ok();
    until(&cluster, CRD, 404).await;
    until(&cluster, TABS, 404).await;
    // Another of the same name begins empty.
    cluster.post(CRDS, &crontabs()).await.ok();
    until(&cluster, TABS, 200).await;
    assert_eq!(cluster.get(TABS).await.ok().items_at(&["items"]).len(), 0);
}

#[tokio::test]
async fn a_second_deletion_begins_nothing_anew() {
    let cluster = Cluster::start().await;
    let mut crd = crontabs();
    crd.set_at(&["metadata", "finalizers"], value!(["example.com/held"]));
    cluster.post(CRDS, &crd).await.ok();
    until(&cluster, TABS, 200).await;
    cluster.delete(CRD).await.ok();
    let held = value!(["example.com/held"]);
    loop {
        let left = cluster.get(CRD).await.ok();
        if left.at(&["metadata", "finalizers"]) == Some(&held) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let again = cluster.delete(CRD).await.ok();
    assert_eq!(again.at(&["metadata", "finalizers"]), Some(&held));
}

#[tokio::test]
async fn a_restart_serves_what_was_defined() {
    let clock = Clock::system();
    let store: std::sync::Arc<dyn store::Store> =
        std::sync::Arc::new(store::memory(clock.clone(), Rng::system()));
    let first = Cluster::over(store.clone(), clock.clone()).await;
    first.post(CRDS, &crontabs()).await.ok();
    until(&first, TABS, 200).await;
    first.post(TABS, &tab("a")).await.ok();
    // No polling here: it must be served when the server says that it is ready.
    let second = Cluster::over(store, clock).await;
    let list = second.get(TABS).await.ok();
    assert_eq!(list.items_at(&["items"])[0].name(), "a");
}

#[tokio::test]
async fn kubectl_works_with_custom_resources() {
    if !has_kubectl() {
        return;
    }
    let cluster = Cluster::start().await;
    let crd = crontabs().to_json();
    let said = cluster.kubectl(&["apply", "-f", "-"], Some(&crd)).await;
    assert_eq!(
        said.as_deref(),
        Ok("customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created\n")
    );
    until(&cluster, TABS, 200).await;
    let ok = async |args: &str, input: Option<&str>| {
        let words: Vec<&str> = args.split(' ').collect();
        cluster
            .kubectl(&words, input)
            .await
            .unwrap_or_else(|e| panic!("{args}: {e}"))
    };
    let established =
        "wait --for=condition=Established crd/crontabs.stable.example.com --timeout=30s";
    ok(established, None).await;
    let object = tab("a").to_json();
    assert_eq!(
        ok("apply -f -", Some(&object)).await,
        "crontab.stable.example.com/a created\n"
    );
    assert_eq!(
        ok("apply -f -", Some(&object)).await,
        "crontab.stable.example.com/a unchanged\n"
    );
    let shown = ok("get ct", None).await;
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words[..5], ["NAME", "SPEC", "REPLICAS", "AGE", "a"]);
    let wide = ok("get ct -o wide", None).await;
    assert!(wide.contains("my-awesome-cron-image"), "{wide}");
    assert!(
        ok("get all", None)
            .await
            .contains("crontab.stable.example.com/a")
    );
    let explained = ok("explain crontab.spec.replicas", None).await;
    assert!(explained.contains("<integer>"), "{explained}");
    ok("scale crontab/a --replicas=3", None).await;
    ok(r#"patch ct a --type=merge -p {"spec":{"image":"b"}}"#, None).await;
    let fields = "get ct a -o jsonpath={.spec.replicas}-{.spec.image}-{.metadata.generation}";
    assert_eq!(ok(fields, None).await, "3-b-3");
    let bad = parse(&object.replace("* * * * */5", "never")).to_json();
    let refused = cluster
        .kubectl(&["apply", "-f", "-"], Some(&bad))
        .await
        .expect_err("refused");
    assert!(
        refused.contains("spec.cronSpec in body should match"),
        "{refused}"
    );
    assert!(ok("describe ct a", None).await.contains("Cron Spec:"));
    ok("delete crd crontabs.stable.example.com --timeout=30s", None).await;
    let gone = cluster
        .kubectl(&["get", "crontabs"], None)
        .await
        .expect_err("gone");
    assert!(gone.contains("the server "), "{gone}");
}
