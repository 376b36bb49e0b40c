//! Custom resources on a whole cluster: operators that others wrote the
//! frameworks of, namespaces and owners with custom objects among theirs, and
//! definitions that come, change and go.

mod operators;

use e2e::{Scope, eventually, suite, until};
use serde_json::Value;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("kopf_operator_reconciles", operators::kopf_reconciles),
            ("kube_rs_operator_reconciles", operators::kube_rs_reconciles),
            (
                "custom_objects_go_with_namespace",
                custom_objects_go_with_their_namespace,
            ),
            (
                "custom_objects_own_and_are_owned",
                custom_objects_own_and_are_owned,
            ),
            (
                "foreground_deletion_waits",
                foreground_deletion_waits_for_custom_objects,
            ),
            ("definitions_are_used_at_once", definitions_are_used_at_once),
            (
                "definition_takes_objects_along",
                a_definition_takes_its_objects_along,
            ),
            ("stored_versions_are_kept", stored_versions_are_kept),
            (
                "stricter_schemas_bind_changes",
                stricter_schemas_bind_what_changes,
            ),
        ],
        &[],
    )
}

/// A definition in a group and a category of the test's own, so that tests share a cluster.
fn definition(group: &str, versions: &str) -> String {
    let category = group.split('.').next().unwrap_or(group);
    format!(
        "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: things.{group}}}, \
         spec: {{group: {group}, scope: Namespaced, names: {{plural: things, singular: thing, kind: Thing, shortNames: [th], categories: [{category}]}}, \
         versions: [{versions}]}}}}"
    )
}

const PLAIN: &str = "{name: v1, served: true, storage: true, subresources: {status: {}}, \
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}";

/// Defines things and waits until they are served.
fn define(t: &Scope, versions: &str) -> String {
    let group = format!("{}.example.com", t.namespace);
    t.apply(&definition(&group, versions));
    t.ok(&format!(
        "wait --for=condition=Established --timeout=30s crd/things.{group}"
    ));
    until("things are served", || {
        t.run(&format!("get things.{group}")).is_ok()
    });
    group
}

fn thing(group: &str, name: &str, rest: &str) -> String {
    format!("{{apiVersion: {group}/v1, kind: Thing, metadata: {{name: {name}}}{rest}}}")
}

/// How kubectl is told of one thing, of all the things that other tests define.
fn one(group: &str, name: &str) -> String {
    format!("things.{group}/{name}")
}

/// Takes the finalizers away.
const FREE: &str = r#"'{"metadata": {"finalizers": null}}'"#;

fn patch(group: &str, name: &str, patch: &str) -> String {
    format!("patch things.{group} {name} --type=merge -p {patch}")
}

fn uid(t: &Scope, what: &str) -> String {
    t.field(what, "{.metadata.uid}")
}

fn custom_objects_go_with_their_namespace(t: &Scope) {
    let group = define(t, PLAIN);
    let other = format!("{}-other", t.namespace);
    t.ok(&format!("create namespace {other}"));
    let within = t.cluster.kubectl().within(&other);
    within.apply(&thing(&group, "free", ""));
    within.apply(&format!(
        "{{apiVersion: {group}/v1, kind: Thing, metadata: {{name: held, finalizers: [example.com/mine]}}}}"
    ));
    t.ok(&format!("delete namespace {other} --wait=false"));
    let condition = |ty: &str| {
        let path = format!("{{.status.conditions[?(@.type==\"{ty}\")].message}}");
        t.field(&format!("namespace {other}"), &path)
    };
    let expected = format!("Some resources are remaining: things.{group} has 1 resource instances");
    until("what remains is said", || {
        condition("NamespaceContentRemaining") == expected
    });
    let expected = "Some content in the namespace has finalizers remaining: example.com/mine in 1 resource instances";
    until("finalizers are said", || {
        condition("NamespaceFinalizersRemaining") == expected
    });
    let refused = within.feed("apply -f -", &thing(&group, "late", ""));
    let because = "because it is being terminated";
    assert!(refused.stderr.contains(because), "{refused:?}");
    within.ok(&patch(&group, "held", FREE));
    t.wait_gone(&format!("namespace {other}"));
    t.ok(&format!("delete crd things.{group} --timeout=30s"));
}

fn owner(t: &Scope, what: &str, api_version: &str, kind: &str, name: &str) -> String {
    let uid = uid(t, what);
    format!(
        "ownerReferences: [{{apiVersion: {api_version}, kind: {kind}, name: {name}, uid: {uid}, blockOwnerDeletion: true}}]"
    )
}

fn custom_objects_own_and_are_owned(t: &Scope) {
    let group = define(t, PLAIN);
    let of = format!("{group}/v1");
    t.apply(&thing(&group, "top", ""));
    let by_top = owner(t, &one(&group, "top"), &of, "Thing", "top");
    t.apply(&format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: middle, {by_top}}}}}"
    ));
    let by_middle = owner(t, "configmap middle", "v1", "ConfigMap", "middle");
    t.apply(&format!(
        "{{apiVersion: {of}, kind: Thing, metadata: {{name: bottom, {by_middle}}}}}"
    ));
    // An owner that never was takes its own along, too.
    let by_nobody = "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: nobody, uid: 4f2f0b5e-0000-4000-8000-000000000000}]";
    t.apply(&format!(
        "{{apiVersion: {of}, kind: Thing, metadata: {{name: stray, {by_nobody}}}}}"
    ));
    t.wait_gone(&one(&group, "stray"));
    assert!(t.run(&format!("get things.{group} top bottom")).is_ok());
    t.ok(&format!("delete things.{group} top --cascade=background"));
    t.wait_gone("configmap middle");
    t.wait_gone(&one(&group, "bottom"));
    // Orphans stay, and know of no owner any more.
    t.apply(&thing(&group, "parent", ""));
    let by_parent = owner(t, &one(&group, "parent"), &of, "Thing", "parent");
    t.apply(&format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: orphan, {by_parent}}}}}"
    ));
    t.ok(&format!("delete things.{group} parent --cascade=orphan"));
    t.wait_gone(&one(&group, "parent"));
    t.wait_field("configmap orphan", "{.metadata.ownerReferences}", "");
    t.ok(&format!("delete crd things.{group} --timeout=30s"));
}

fn foreground_deletion_waits_for_custom_objects(t: &Scope) {
    let group = define(t, PLAIN);
    let of = format!("{group}/v1");
    t.apply(&thing(&group, "parent", ""));
    let by_parent = owner(t, &one(&group, "parent"), &of, "Thing", "parent");
    t.apply(&format!(
        "{{apiVersion: {of}, kind: Thing, metadata: {{name: child, finalizers: [example.com/mine], {by_parent}}}}}"
    ));
    t.ok(&format!(
        "delete things.{group} parent --cascade=foreground --wait=false"
    ));
    until("the child is on its way out", || {
        !t.field(&one(&group, "child"), "{.metadata.deletionTimestamp}")
            .is_empty()
    });
    let finalizers = t.field(&one(&group, "parent"), "{.metadata.finalizers[*]}");
    assert_eq!(finalizers, "foregroundDeletion");
    t.ok(&patch(&group, "child", FREE));
    t.wait_gone(&one(&group, "child"));
    t.wait_gone(&one(&group, "parent"));
    t.ok(&format!("delete crd things.{group} --timeout=30s"));
}

const RICH: &str = "{name: v1, served: true, storage: true, \
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}, \
    selectableFields: [{jsonPath: .spec.colour}], \
    additionalPrinterColumns: [{name: Colour, type: string, jsonPath: .spec.colour}, {name: Wanted, type: integer, jsonPath: .spec.replicas, priority: 1}], \
    schema: {openAPIV3Schema: {type: object, properties: {\
      spec: {type: object, properties: {colour: {type: string, description: How it looks.}, replicas: {type: integer}, \
        ports: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], \
          items: {type: object, required: [name], properties: {name: {type: string}, port: {type: integer}}}}}}, \
      status: {type: object, properties: {replicas: {type: integer}}}}}}}";

fn definitions_are_used_at_once(t: &Scope) {
    let group = define(t, RICH);
    let resources = t.ok(&format!("api-resources --api-group={group} --no-headers"));
    let words: Vec<&str> = resources.split_whitespace().collect();
    let version = format!("{group}/v1");
    assert_eq!(words, ["things", "th", &version, "true", "Thing"]);
    let explained = t.ok(&format!("explain things.{group}.spec.colour"));
    assert!(explained.contains("How it looks."), "{explained}");
    t.apply(&thing(
        &group,
        "a",
        ", spec: {colour: red, replicas: 1, ports: [{name: http, port: 80}]}",
    ));
    t.apply(&thing(&group, "b", ", spec: {colour: blue}"));
    let shown = t.ok(&format!(
        "get things.{group} --no-headers --field-selector spec.colour=red"
    ));
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), ["a", "red"]);
    let wide = t.ok(&format!("get things.{group} -o wide"));
    let head: Vec<&str> = wide
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(head, ["NAME", "COLOUR", "WANTED"]);
    t.ok(&format!("scale things.{group} a --replicas=3"));
    assert_eq!(t.field(&one(&group, "a"), "{.spec.replicas}"), "3");
    let ports = thing(&group, "a", ", spec: {ports: [{name: https, port: 443}]}");
    let applied = t.feed("apply --server-side --field-manager=other -f -", &ports);
    assert!(applied.is_ok(), "{applied:?}");
    assert_eq!(
        t.field(&one(&group, "a"), "{.spec.ports[*].name}"),
        "http https"
    );
    let strict = thing(&group, "c", ", spec: {color: red}");
    let refused = t.feed("create -f -", &strict);
    assert!(
        refused.stderr.contains("unknown field \"spec.color\""),
        "{refused:?}"
    );
    let category = t.ok(&format!("get {}", t.namespace));
    assert!(category.contains("red"), "{category}");
    t.ok(&format!("delete crd things.{group} --timeout=30s"));
    until("things are not there any more", || {
        let gone = t.run(&format!("get things.{group}"));
        gone.stderr
            .contains("the server doesn't have a resource type")
            || gone
                .stderr
                .contains("the server could not find the requested resource")
    });
}

fn a_definition_takes_its_objects_along(t: &Scope) {
    let group = define(t, PLAIN);
    let crd = format!("crd things.{group}");
    t.apply(&format!(
        "{{apiVersion: {group}/v1, kind: Thing, metadata: {{name: held, finalizers: [example.com/mine]}}}}"
    ));
    t.apply(&thing(&group, "free", ""));
    let finalizers = t.field(&crd, "{.metadata.finalizers[*]}");
    // It is set on deletion at the latest, as upstream does.
    assert!(finalizers.is_empty() || finalizers == "customresourcecleanup.apiextensions.k8s.io");
    t.ok(&format!("delete {crd} --wait=false"));
    t.wait_gone(&one(&group, "free"));
    let ending = eventually("the definition says that it ends", || {
        let found = t.find(&crd)?;
        let conditions = found["status"]["conditions"].as_array()?.clone();
        conditions.into_iter().find(|c| c["type"] == "Terminating")
    });
    let said = |key: &str| ending[key].as_str().unwrap_or_default().to_string();
    assert_eq!(said("status"), "True");
    assert_eq!(said("reason"), "InstanceDeletionInProgress");
    assert_eq!(said("message"), "CustomResource deletion is in progress");
    let late = t.feed("create -f -", &thing(&group, "late", ""));
    let because = "create not allowed while custom resource definition is terminating";
    assert!(late.stderr.contains(because), "{late:?}");
    t.ok(&patch(&group, "held", FREE));
    t.wait_gone(&crd);
}

fn stored_versions_are_kept(t: &Scope) {
    let version = |name: &str, storage: bool| {
        format!(
            "{{name: {name}, served: true, storage: {storage}, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}"
        )
    };
    let both = |stored: &str| {
        let of = |name: &str| version(name, name == stored);
        format!("{}, {}", of("v1"), of("v2"))
    };
    let group = define(t, &both("v1"));
    t.apply(&thing(&group, "a", ", spec: {x: 1}"));
    let crd = format!("crd things.{group}");
    t.apply(&definition(&group, &both("v2")));
    t.wait_field(&crd, "{.status.storedVersions[*]}", "v1 v2");
    let old = t.field(&format!("things.v1.{group} a"), "{.apiVersion}");
    let new = t.field(&format!("things.v2.{group} a"), "{.apiVersion}");
    assert_eq!((old, new), (format!("{group}/v1"), format!("{group}/v2")));
    let refused = t.feed("apply -f -", &definition(&group, &version("v2", true)));
    assert!(
        refused.stderr.contains("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version"),
        "{refused:?}"
    );
    // Migration: every object is written again, and then the old version may go.
    t.ok(&format!(
        r#"patch things.v2.{group} a --type=merge -p '{{"spec": {{"x": 2}}}}'"#
    ));
    t.ok(&format!(r#"patch {crd} --subresource=status --type=merge -p '{{"status": {{"storedVersions": ["v2"]}}}}'"#));
    t.apply(&definition(&group, &version("v2", true)));
    until("the old version is not served", || {
        !t.run(&format!("get --raw /apis/{group}/v1")).is_ok()
    });
    assert_eq!(t.field(&format!("things.v2.{group} a"), "{.spec.x}"), "2");
    t.ok(&format!("delete {crd} --timeout=30s"));
}

/// A schema that became stricter leaves alone what stays as it was. Follows
/// apiextensions-apiserver's ratcheting validation.
fn stricter_schemas_bind_what_changes(t: &Scope) {
    let version = |rule: &str| {
        format!(
            "{{name: v1, served: true, storage: true, subresources: {{status: {{}}}}, schema: {{openAPIV3Schema: {{type: object, properties: {{\
             spec: {{type: object, properties: {{size: {{type: integer{rule}}}, note: {{type: string}}}}}}, \
             status: {{type: object, properties: {{seen: {{type: integer}}}}}}}}}}}}}}"
        )
    };
    let group = define(t, &version(""));
    t.apply(&thing(&group, "a", ", spec: {size: 100}"));
    t.apply(&definition(&group, &version(", maximum: 10")));
    until("the schema is stricter", || {
        let refused = t.feed(
            "create --dry-run=server -f -",
            &thing(&group, "b", ", spec: {size: 100}"),
        );
        refused
            .stderr
            .contains("should be less than or equal to 10")
    });
    t.ok(&patch(&group, "a", r#"'{"spec": {"note": "x"}}'"#));
    t.ok(&format!("label things.{group} a x=y"));
    t.ok(&patch(
        &group,
        "a",
        r#"'{"status": {"seen": 1}}' --subresource=status"#,
    ));
    let refused = t.fails(&patch(&group, "a", r#"'{"spec": {"size": 99}}'"#));
    let because =
        "spec.size: Invalid value: 99: spec.size in body should be less than or equal to 10";
    assert!(refused.contains(because), "{refused}");
    t.ok(&patch(&group, "a", r#"'{"spec": {"size": 9}}'"#));
    let object: Value = t.get(&one(&group, "a"));
    assert_eq!(
        (&object["spec"]["size"], &object["status"]["seen"]),
        (&9.into(), &1.into())
    );
    t.ok(&format!("delete crd things.{group} --timeout=30s"));
}
