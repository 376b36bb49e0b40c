//! What a hostile or clumsy client hears, as a table: each row is a request and
//! the refusal that upstream gives it, word by word. Rows that must not refuse
//! say the code only.

use crate::cluster::Cluster;
use meta::value;

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const ONE: &str = "/api/v1/namespaces/ns/configmaps/a";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/ns/deployments/d";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Method, path, what follows it, type of the body, body, what is heard.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// A cluster with ConfigMap `a`, which has `x: "1"`.
async fn prepared() -> Cluster {
    let cluster = Cluster::start().await;
    let object = value!({"metadata": {"name": "a"}, "data": {"x": "1"}});
    cluster.post(MAPS, &object).await.ok();
    cluster
}

async fn check(rows: &[Row]) {
    let cluster = prepared().await;
    let before = cluster.get(ONE).await.ok();
    for (method, path, query, media, body, expected) in rows {
        let uri = format!("{path}{query}");
        let headers = [("content-type", *media)];
        let reply = cluster.ask(method, &uri, &headers, *body).await;
        let heard = match reply.code {
            200..300 => reply.code.to_string(),
            _ => reply.failure(),
        };
        assert_eq!(&heard, expected, "{method} {uri} {media} {body}");
    }
    assert_eq!(cluster.get(ONE).await.ok(), before, "a refusal changed it");
}

#[tokio::test]
async fn bodies() {
    check(&[
        ("POST", MAPS, "", JSON, "", "400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        ("POST", MAPS, "", JSON, "[]", r#"400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } (5b5d)"#),
        ("POST", MAPS, "", JSON, "null", r#"422 Invalid: ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#),
        ("POST", MAPS, "", JSON, r#"{"metadata":{"name":"t"}} x"#, "400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'x' after top-level value (7b226d65746164617461223a7b226e616d65223a2274227d7d2078)"),
        ("POST", MAPS, "", "text/plain", "{}", "415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        ("POST", MAPS, "", JSON, r#"{"kind":"Foo","apiVersion":"v1"}"#, r#"400 BadRequest: Foo in version "v1" cannot be handled as a ConfigMap: converting (v1.Foo) to (core.ConfigMap): unknown conversion"#),
        ("POST", MAPS, "", JSON, r#"{"metadata":{"name":"b","namespace":"other"}}"#, "400 BadRequest: the namespace of the provided object does not match the namespace sent on the request"),
        ("POST", MAPS, "", JSON, r#"{"metadata":{"name":"b","resourceVersion":"5"}}"#, "400 BadRequest: resourceVersion should not be set on objects to be created"),
        ("POST", MAPS, "", JSON, r#"{"metadata":{"name":"b"},"data":["x"]}"#, r#"400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"#),
        ("POST", MAPS, "?fieldValidation=Strict", JSON, r#"{"metadata":{"name":"b","name":"c"},"foo":1}"#, r#"400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "metadata.name", unknown field "foo""#),
        ("POST", MAPS, "?fieldValidation=Foo", JSON, "{}", r#"422 Invalid: CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn""#),
        ("POST", MAPS, "?dryRun=foo", JSON, "{}", r#"422 Invalid: CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All""#),
        ("POST", MAPS, "?fieldValidation=Ignore&dryRun=All", JSON, r#"{"metadata":{"name":"b"},"foo":1}"#, "201"),
        ("POST", MAPS, "", YAML, "- a", r#"400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } (5b2261225d)"#),
        ("PUT", ONE, "", JSON, r#"{"metadata":{"name":"b"}}"#, "400 BadRequest: the name of the object (b) does not match the name on the URL (a)"),
        ("PUT", "/api/v1/namespaces/ns/configmaps/b", "", JSON, r#"{"metadata":{"name":"b"}}"#, r#"404 NotFound: configmaps "b" not found"#),
        ("PUT", "/api/v1/namespaces/ns/configmaps/b", "", JSON, r#"{"metadata":{"name":"b","uid":"u"}}"#, r#"409 Conflict: Operation cannot be fulfilled on configmaps "b": StorageError: invalid object, Code: 4, Key: /registry/core/configmaps/ns/b, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object meta: "#),
        ("PUT", ONE, "", JSON, r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#, r#"409 Conflict: Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#),
    ])
    .await;
}

#[tokio::test]
async fn patches() {
    check(&[
        ("PATCH", ONE, "", JSON, "{}", "415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"),
        ("PATCH", ONE, "", MERGE, "{", "400 BadRequest: error decoding patch: unexpected end of JSON input"),
        ("PATCH", ONE, "", STRATEGIC, "{", "400 BadRequest: unexpected end of JSON input"),
        ("PATCH", ONE, "", MERGE, "[]", "400 BadRequest: error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("PATCH", ONE, "", STRATEGIC, r#""x""#, "400 BadRequest: json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ("PATCH", ONE, "", JSON_PATCH, "{}", "400 BadRequest: error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("PATCH", ONE, "", JSON_PATCH, r#"[{"op":"add","value":"2"}]"#, "422 Invalid: the server rejected our request due to an error in our request"),
        ("PATCH", ONE, "", JSON_PATCH, r#"[{"op":"copy","path":"/data/z"}]"#, "422 Invalid: the server rejected our request due to an error in our request"),
        ("PATCH", ONE, "", JSON_PATCH, r#"[{"op":"test","path":"/data/x","value":"2"}]"#, "422 Invalid: the server rejected our request due to an error in our request"),
        ("PATCH", ONE, "", MERGE, r#"{"metadata":{"resourceVersion":"1"}}"#, r#"409 Conflict: Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#),
        ("PATCH", ONE, "", STRATEGIC, r#"{"data":{"$patch":"foo"}}"#, r#"400 BadRequest: unknown patch type found: "foo""#),
        ("PATCH", ONE, "?force=true", MERGE, "{}", r#"422 Invalid: PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#),
        ("PATCH", "/api/v1/namespaces/ns/configmaps/nope", "", MERGE, "{}", r#"404 NotFound: configmaps "nope" not found"#),
        ("PATCH", MAPS, "", MERGE, "{}", "405 MethodNotAllowed: the server does not allow this method on the requested resource"),
    ])
    .await;
    let cluster = prepared().await;
    let odd = value!([{"op": "test", "path": "/data/x", "value": "1", "foo": 1}]);
    let strict = format!("{ONE}?fieldValidation=Strict");
    let refused = cluster.patch("json", &strict, &odd).await.failure();
    let why = r#": strict decoding error: json patch unknown field "[0].foo""#;
    assert!(
        refused.starts_with("422 Invalid:") && refused.ends_with(why),
        "{refused}"
    );
    let warned = cluster.patch("json", ONE, &odd).await;
    assert_eq!(
        warned.warnings(),
        [r#"299 - "json patch unknown field \"[0].foo\"""#]
    );
    let none = value!([{"op": "add", "value": "2"}]);
    let refused = cluster.patch("json", ONE, &none).await.value();
    let cause = refused.items_at(&["details", "causes"]);
    let why = "add operation failed to decode path: missing value";
    assert_eq!(cause[0].str_at(&["message"]), why);
}

#[tokio::test]
async fn configurations_of_an_apply() {
    check(&[
        ("PATCH", ONE, "", APPLY, "{}", r#"422 Invalid: PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "[]", "400 BadRequest: error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "{}", "400 BadRequest: invalid object type: /, Kind="),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}", "400 BadRequest: the name of the object (b) does not match the name on the URL (a)"),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "{apiVersion: v1, kind: ConfigMap, metadata: {managedFields: [{manager: x}]}}", "400 BadRequest: metadata.managedFields must be nil"),
        ("PATCH", "/api/v1/namespaces/ns/configmaps/b", "?fieldManager=m", APPLY, "{apiVersion: v1, kind: ConfigMap, metadata: {uid: u}}", r#"409 Conflict: Operation cannot be fulfilled on configmaps "b": uid mismatch: the provided object specified uid u, and no existing object was found"#),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "{apiVersion: v1, kind: ConfigMap, data: {x: 1}}", "500 : failed to create typed patch object (/; /v1, Kind=ConfigMap): .data.x: expected string, got &value.valueUnstructured{Value:1}"),
        ("PATCH", ONE, "?fieldManager=m", APPLY, "{apiVersion: v1, kind: ConfigMap, data: x, foo: 1}", "500 : failed to create typed patch object (/; /v1, Kind=ConfigMap): errors:\n  .data: expected map, got &{x}\n  .foo: field not declared in schema"),
        ("PATCH", DEPLOYMENT, "?fieldManager=m", APPLY, "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: x, paused: 1}}", "500 : failed to create typed patch object (/; apps/v1, Kind=Deployment): errors:\n  .spec.paused: expected boolean, got &{1}\n  .spec.replicas: expected numeric (int or float), got string"),
        ("PATCH", DEPLOYMENT, "?fieldManager=m", APPLY, "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{image: i}]}}}}", "500 : failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)"),
        ("PATCH", DEPLOYMENT, "?fieldManager=m", APPLY, "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: c, env: {a: b}, imagee: x}, {name: c}]}}}}", "500 : failed to create typed patch object (/; apps/v1, Kind=Deployment): errors:\n  .spec.template.spec.containers[name=\"c\"].env: expected list, got &{map[a:b]}\n  .spec.template.spec.containers[name=\"c\"].imagee: field not declared in schema\n  .spec.template.spec.containers: duplicate entries for key [name=\"c\"]"),
    ])
    .await;
}

#[tokio::test]
async fn deletions() {
    check(&[
        ("DELETE", ONE, "", JSON, "{", "400 BadRequest: unexpected end of JSON input"),
        ("DELETE", ONE, "", JSON, r#"{"propagationPolicy":"Foo"}"#, r#"422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil""#),
        ("DELETE", ONE, "", JSON, r#"{"propagationPolicy":"Orphan","orphanDependents":true}"#, r#"422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#),
        ("DELETE", ONE, "", JSON, r#"{"dryRun":["foo"]}"#, r#"422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All""#),
        ("DELETE", ONE, "", JSON, r#"{"dryRun":["All","None"]}"#, r#"422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["All","None"]: supported values: "All""#),
        ("DELETE", ONE, "", JSON, r#"{"gracePeriodSeconds":"5"}"#, "400 BadRequest: json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"),
        ("DELETE", ONE, "", JSON, r#"{"preconditions":"x"}"#, "400 BadRequest: json: cannot unmarshal string into Go struct field DeleteOptions.preconditions of type v1.Preconditions"),
        ("DELETE", ONE, "", JSON, r#"{"dryRun":["All"],"foo":1}"#, "200"),
        ("DELETE", MAPS, "?labelSelector=((", JSON, "", "400 BadRequest: unable to parse requirement: found '(', expected: !, identifier, or 'end of string'"),
        ("DELETE", MAPS, "?resourceVersionMatch=Exact", JSON, "", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#),
        ("DELETE", MAPS, "?dryRun=foo", JSON, "", r#"422 Invalid: DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All""#),
        ("DELETE", "/api/v1/configmaps", "", JSON, "", "405 MethodNotAllowed: the server does not allow this method on the requested resource"),
    ])
    .await;
}

#[tokio::test]
async fn lists_and_watches() {
    let get = |query: &'static str, expected| ("GET", MAPS, query, JSON, "", expected);
    check(&[
        get("?resourceVersionMatch=Exact", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#),
        get("?resourceVersionMatch=Exact&resourceVersion=0", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#),
        get("?resourceVersionMatch=Foo&resourceVersion=5", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", """#),
        get("?sendInitialEvents=true", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"#),
        get("?watch=1&sendInitialEvents=true", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"#),
        get("?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1", r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"#),
        get("?watch=1&resourceVersion=abc", r#"422 Invalid: configmaps "" is invalid: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#),
        get("?resourceVersion=abc", r#"500 : resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#),
        get("?timeoutSeconds=abc", r#"400 BadRequest: strconv.ParseInt: parsing "abc": invalid syntax"#),
        ("GET", ONE, "?resourceVersion=abc", JSON, "", r#"500 : resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#),
        ("GET", ONE, "?resourceVersion=0", JSON, "", "200"),
        get("?limit=abc", r#"400 BadRequest: strconv.ParseInt: parsing "abc": invalid syntax"#),
        get("?labelSelector=a%3D%3Db%3D%3Dc", "400 BadRequest: unable to parse requirement: found '==', expected: ',' or 'end of string'"),
        get("?labelSelector=a%20in%20b", "400 BadRequest: unable to parse requirement: found 'b' expected: '('"),
        get("?labelSelector=a%20in%20(b", "400 BadRequest: unable to parse requirement: found '', expected: ',', ')' or identifier"),
        get("?labelSelector=a%3Eb", "400 BadRequest: unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer"),
        get("?labelSelector=a%20foo%20(b)", "400 BadRequest: unable to parse requirement: found 'foo', expected: in, notin, =, ==, !=, gt, lt"),
        get("?fieldSelector=foo%3Dbar", "400 BadRequest: field label not supported: foo"),
        get("?fieldSelector=foo", "400 BadRequest: invalid selector: 'foo'; can't understand 'foo'"),
    ])
    .await;
}

#[tokio::test]
async fn special_doors() {
    const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
    const POD: &str = "/api/v1/namespaces/ns/pods/p";
    check(&[
        ("POST", REVIEWS, "", JSON, "{}", "400 BadRequest: token is required for TokenReview in authentication"),
        ("POST", REVIEWS, "", JSON, r#"{"spec":{"token":"x"}}"#, "201"),
        ("GET", POD, "/log?tailLines=-1&sinceSeconds=0&limitBytes=0", JSON, "", r#"422 Invalid: PodLogOptions "p" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0]"#),
        ("GET", POD, "/log?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", JSON, "", r#"422 Invalid: PodLogOptions "p" is invalid: []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"#),
        ("GET", POD, "/log", JSON, "", r#"404 NotFound: pods "p" not found"#),
        ("POST", POD, "/eviction", JSON, "{}", "400 BadRequest: name in URL does not match name in Eviction object"),
        ("POST", MAPS, "", JSON, r#"{"metadata":{"name":"b"},"data":{"x":1e400}}"#, "400 BadRequest: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal number 1e400 into Go value of type float64 (7b226d65746164617461223a7b226e616d65223a2262227d2c2264617461 ...)"),
    ])
    .await;
}
