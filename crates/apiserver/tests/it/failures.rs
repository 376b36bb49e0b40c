//! What goes wrong is said as upstream says it, and changes nothing.

use crate::cluster::{Cluster, Reply};
use meta::{Value, value};

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/ns/deployments";

fn map(name: &str) -> Value {
    value!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn deployment(name: &str) -> Value {
    value!({
        "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        }
    })
}

#[track_caller]
fn check(reply: &Reply, expected: &str) {
    assert_eq!(reply.failure(), expected);
}

#[tokio::test]
async fn paths_that_lead_nowhere() {
    let cluster = Cluster::start().await;
    let nowhere = "404 NotFound: the server could not find the requested resource";
    for (method, path) in [
        ("GET", "/api/v1/nonsense"),
        ("GET", "/api/v1/pods/x"),
        ("GET", "/api/v1/namespaces/ns/configmaps/a/nonsense"),
        ("GET", "/api/v1/namespaces/ns/configmaps/a/status/b"),
        ("GET", "/api/v1/namespaces/ns/nodes"),
    ] {
        let reply = cluster.ask(method, path, &[], "").await;
        check(&reply, nowhere);
        assert_eq!(reply.value().get("details"), Some(&Value::object()));
    }
    for path in [
        "/nonsense",
        "/apis/nonsense/v1/x",
        "/apis/nonsense",
        "/api/v2/pods",
    ] {
        let reply = cluster.get(path).await;
        assert_eq!(
            (reply.code, reply.text().as_str()),
            (404, "404 page not found\n"),
            "{path}"
        );
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    let not_allowed =
        "405 MethodNotAllowed: the server does not allow this method on the requested resource";
    for (method, path) in [
        ("POST", "/api/v1/configmaps"),
        ("PUT", MAPS),
        ("OPTIONS", MAPS),
        ("HEAD", MAPS),
        ("POST", "/api/v1/namespaces/ns/configmaps/a"),
        ("DELETE", "/apis/apps/v1/namespaces/ns/deployments/a/status"),
    ] {
        check(&cluster.ask(method, path, &[], "{}").await, not_allowed);
    }
}

#[tokio::test]
async fn bodies_that_are_none() {
    let cluster = Cluster::start().await;
    let post = async |body: &str| cluster.ask("POST", MAPS, &[], body.to_string()).await;
    check(
        &post("").await,
        "400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
    );
    check(
        &post("{\"metadata\": {\"name\": 1}}").await,
        "400 BadRequest: ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number 1 into Go struct field ObjectMeta.metadata.name of type string",
    );
    check(
        &post(r#"{"kind": "ConfigMap", "apiVersion": "v2"}"#).await,
        "400 BadRequest: the API version in the data (v2) does not match the expected API version (v1)",
    );
    let media = [("content-type", "text/plain")];
    let reply = cluster.ask("POST", MAPS, &media, "x").await;
    assert!(
        reply.failure().starts_with("415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json, application/yaml"),
    );
    let reply = cluster
        .ask("GET", MAPS, &[("accept", "text/html")], "")
        .await;
    assert!(
        reply.failure().starts_with("406 NotAcceptable: only the following media types are accepted: application/json, application/yaml"),
    );
    let reply = cluster
        .ask("PATCH", &format!("{MAPS}/a"), &media, "x")
        .await;
    assert!(reply.failure().starts_with("415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json-patch+json"));
    let unknown = cluster
        .post(&format!("{MAPS}?dryRun=Some"), &map("a"))
        .await;
    check(
        &unknown,
        "422 Invalid: CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
    );
    let unknown = cluster
        .post(&format!("{MAPS}?fieldValidation=x"), &map("a"))
        .await;
    check(
        &unknown,
        "422 Invalid: CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
    );
}

#[tokio::test]
async fn objects_that_may_not_be() {
    let cluster = Cluster::start().await;
    let mut nameless = map("");
    check(
        &cluster.post(MAPS, &nameless).await,
        "422 Invalid: ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
    );
    nameless.set_at(&["metadata", "name"], "A_b");
    assert!(
        cluster.post(MAPS, &nameless).await.failure().starts_with(
            "422 Invalid: ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of"
        )
    );
    let mut elsewhere = map("a");
    elsewhere.set_at(&["metadata", "namespace"], "other");
    check(
        &cluster.post(MAPS, &elsewhere).await,
        "400 BadRequest: the namespace of the provided object does not match the namespace sent on the request",
    );
    let mut versioned = map("a");
    versioned.set_at(&["metadata", "resourceVersion"], "5");
    check(
        &cluster.post(MAPS, &versioned).await,
        "400 BadRequest: resourceVersion should not be set on objects to be created",
    );
    let created = cluster.post(MAPS, &map("a")).await.ok();
    let exists = cluster.post(MAPS, &map("a")).await;
    check(
        &exists,
        "409 AlreadyExists: configmaps \"a\" already exists",
    );
    assert_eq!(
        exists.value().get("details"),
        Some(&value!({"name": "a", "kind": "configmaps"}))
    );
    let one = format!("{MAPS}/a");
    check(
        &cluster.put(&one, &map("b")).await,
        "400 BadRequest: the name of the object (b) does not match the name on the URL (a)",
    );
    let gone = cluster.put(&format!("{MAPS}/b"), &map("b")).await;
    check(&gone, "404 NotFound: configmaps \"b\" not found");
    let mut stale = created.clone();
    stale.set_at(&["metadata", "resourceVersion"], "1");
    check(
        &cluster.put(&one, &stale).await,
        "409 Conflict: Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
    );
    let mut other = map("a");
    other.set_at(&["metadata", "uid"], "u");
    let uid = created.str_at(&["metadata", "uid"]);
    check(
        &cluster.put(&one, &other).await,
        &format!(
            "409 Conflict: Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: 4, Key: /registry/core/configmaps/ns/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object meta: {uid}"
        ),
    );
    assert_eq!(cluster.get(&one).await.ok(), created);
}

#[tokio::test]
async fn fields_that_are_odd() {
    let cluster = Cluster::start().await;
    let odd = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"x":"1","x":"2"},"datum":1}"#;
    let post = async |how: &str| {
        let url = format!("{MAPS}?dryRun=All&fieldValidation={how}");
        cluster.ask("POST", &url, &[], odd).await
    };
    check(
        &post("Strict").await,
        "400 BadRequest: ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.x\", unknown field \"datum\"",
    );
    let warned = post("Warn").await;
    assert_eq!(
        warned.warnings(),
        [
            "299 - \"duplicate field \\\"data.x\\\"\"",
            "299 - \"unknown field \\\"datum\\\"\""
        ]
    );
    assert_eq!(warned.ok().str_at(&["data", "x"]), "2");
    let ignored = post("Ignore").await;
    assert!(ignored.warnings().is_empty());
    assert_eq!(ignored.code, 201);

    let yaml = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  x: '1'\n  x: '2'\n";
    let media = [("content-type", "application/yaml")];
    let url = format!("{MAPS}?dryRun=All&fieldValidation=Strict");
    check(
        &cluster.ask("POST", &url, &media, yaml).await,
        "400 BadRequest: ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 6: key \"x\" already set in map",
    );
    let warned = cluster
        .ask("POST", &format!("{MAPS}?dryRun=All"), &media, yaml)
        .await;
    assert_eq!(warned.warnings().len(), 1);
    assert_eq!(warned.ok().str_at(&["data", "x"]), "2");

    cluster.post(DEPLOYMENTS, &deployment("d")).await.ok();
    let one = format!("{DEPLOYMENTS}/d");
    let strict = format!("{one}?fieldValidation=Strict");
    let patch = value!({"spec": {"paused": true, "unknown": {"a": [1, "b"]}}});
    check(
        &cluster.patch("strategic-merge", &strict, &patch).await,
        "422 Invalid:  \"\" is invalid: patch: Invalid value: \"map[spec:map[paused:true unknown:map[a:[1 b]]]]\": strict decoding error: unknown field \"spec.unknown\"",
    );
    let merged = cluster.patch("merge", &strict, &patch).await.failure();
    assert!(
        merged.starts_with("422 Invalid:  \"\" is invalid: patch: Invalid value: \"{"),
        "{merged}"
    );
    assert!(
        merged.ends_with("strict decoding error: unknown field \"spec.unknown\""),
        "{merged}"
    );
    let warned = cluster.patch("merge", &one, &patch).await;
    assert_eq!(
        warned.warnings(),
        ["299 - \"unknown field \\\"spec.unknown\\\"\""]
    );
    let url = format!("{one}?fieldManager=m");
    let mut config = deployment("d");
    config.set_at(&["spec", "unknown"], 1);
    check(
        &cluster.apply(&url, &config).await,
        "500 : failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.unknown: field not declared in schema",
    );
}

#[tokio::test]
async fn patches_that_do_not_fit() {
    let cluster = Cluster::start().await;
    cluster.post(MAPS, &map("a")).await.ok();
    let one = format!("{MAPS}/a");
    let json = [("content-type", "application/json-patch+json")];
    let merge = [("content-type", "application/merge-patch+json")];
    check(
        &cluster.ask("PATCH", &one, &merge, "{").await,
        "400 BadRequest: error decoding patch: unexpected end of JSON input",
    );
    let reply = cluster
        .ask(
            "PATCH",
            &one,
            &json,
            r#"[{"op":"test","path":"/data/a","value":"2"}]"#,
        )
        .await;
    check(
        &reply,
        "422 Invalid: the server rejected our request due to an error in our request",
    );
    let cause = &reply.value().items_at(&["details", "causes"])[0].clone();
    assert_eq!(
        cause.str_at(&["message"]),
        "testing value /data/a failed: test failed"
    );
    let many = format!(
        "[{}]",
        vec![r#"{"op":"test","path":"/data/a","value":"1"}"#; 10_001].join(",")
    );
    let reply = cluster.ask("PATCH", &one, &json, many).await;
    check(
        &reply,
        "413 RequestEntityTooLarge: Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    );
    let rename = cluster
        .patch("merge", &one, &value!({"metadata": {"name": "b"}}))
        .await;
    check(
        &rename,
        "400 BadRequest: the name of the object (b) does not match the name on the URL (a)",
    );
    let stale = value!({"metadata": {"resourceVersion": "1"}});
    assert!(
        cluster
            .patch("merge", &one, &stale)
            .await
            .failure()
            .starts_with("409 Conflict")
    );
    let typed = cluster
        .patch("merge", &one, &value!({"data": {"a": 1}}))
        .await
        .failure();
    assert!(
        typed.starts_with("422 Invalid:  \"\" is invalid: patch: Invalid value: \"{")
            && typed.ends_with(
                "json: cannot unmarshal number 1 into Go struct field ConfigMap.data of type string"
            ),
        "{typed}"
    );
    let absent = cluster
        .patch("merge", &format!("{MAPS}/b"), &value!({}))
        .await;
    check(&absent, "404 NotFound: configmaps \"b\" not found");
    let forced = cluster
        .patch("merge", &format!("{one}?force=true"), &value!({}))
        .await;
    check(
        &forced,
        "422 Invalid: PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
    );
    let nobody = cluster.apply(&one, &map("a")).await;
    check(
        &nobody,
        "422 Invalid: PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    );
    let unit = cluster
        .patch("strategic-merge", &one, &value!({"data": {"$patch": "x"}}))
        .await;
    assert_eq!(unit.code, 400, "{}", unit.text());
    assert_eq!(
        cluster.get(&one).await.ok().at(&["data"]),
        Some(&value!({"a": "1"}))
    );
}

#[tokio::test]
async fn names_are_made() {
    let cluster = Cluster::start().await;
    let mut object = map("");
    object.set_at(&["metadata"], value!({"generateName": "made-"}));
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let made = cluster.post(MAPS, &object).await.ok();
        let name = made.str_at(&["metadata", "name"]).to_string();
        assert!(name.starts_with("made-") && name.len() == 10, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 20);
    let long = "x".repeat(100);
    object.set_at(&["metadata", "generateName"], long.as_str());
    let made = cluster.post(MAPS, &object).await.ok();
    assert_eq!(made.str_at(&["metadata", "name"]).len(), 63);
}
