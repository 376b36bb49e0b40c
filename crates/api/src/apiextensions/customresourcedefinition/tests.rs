//! Cases of definitions.

use super::{CustomResourceDefinition, status};
use crate::kind::Kind as _;
use crate::testing::{check_update, check_valid};
use meta::{Value, value};

fn crd(schema: Value) -> Value {
    let mut crd = value!({
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]
        }
    });
    CustomResourceDefinition.default(&mut crd);
    CustomResourceDefinition.prepare_create(&mut crd);
    crd
}

fn plain() -> Value {
    crd(value!({"type": "object", "properties": {"spec": {"type": "object"}}}))
}

fn with(path: &[&str], value: impl Into<Value>) -> Value {
    let mut crd = plain();
    crd.set_at(path, value);
    crd
}

#[track_caller]
fn check(crd: Value, expected: &[&str]) {
    check_valid(&CustomResourceDefinition, crd, expected);
}

#[test]
fn defaults_name_what_follows_from_the_kind() {
    let crd = plain();
    assert_eq!(crd.str_at(&["spec", "names", "singular"]), "crontab");
    assert_eq!(crd.str_at(&["spec", "names", "listKind"]), "CronTabList");
    assert_eq!(crd.str_at(&["spec", "conversion", "strategy"]), "None");
    assert_eq!(
        crd.items_at(&["status", "storedVersions"]),
        [Value::from("v1")]
    );
}

#[test]
fn definitions_are_checked() {
    check(plain(), &[]);
    check(
        with(&["metadata", "name"], "crontabs.example.com"),
        &[
            "metadata.name: Invalid value: \"crontabs.example.com\": must be spec.names.plural+\".\"+spec.group",
        ],
    );
    check(
        with(&["spec", "scope"], "Local"),
        &[
            "spec.scope: Unsupported value: \"Local\": supported values: \"Cluster\", \"Namespaced\"",
        ],
    );
    check(
        with(&["spec", "names", "listKind"], "CronTab"),
        &["spec.names.listKind: Invalid value: \"CronTab\": kind and listKind may not be the same"],
    );
    check(
        with(&["spec", "preserveUnknownFields"], true),
        &["spec.preserveUnknownFields: Invalid value: true: must be false"],
    );
    check(
        with(&["spec", "conversion", "strategy"], "Webhook"),
        &["spec.conversion.strategy: Forbidden: conversion by a webhook is not supported yet"],
    );
    let mut none = plain();
    none.set_at(
        &["spec", "versions"],
        value!([{"name": "v1", "served": true, "storage": true}]),
    );
    check(
        none,
        &["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
    );
}

#[test]
fn schemas_must_be_structural() {
    let at = "spec.validation.openAPIV3Schema";
    for (schema, expected) in [
        (
            value!({"properties": {"spec": {}}}),
            vec![
                format!(
                    "{at}.properties[spec].type: Required value: must not be empty for specified object fields"
                ),
                format!("{at}.type: Required value: must not be empty at the root"),
            ],
        ),
        (
            value!({"type": "object", "properties": {"a": {"type": "array"}}}),
            vec![format!(
                "{at}.properties[a].items: Required value: must be specified"
            )],
        ),
        (
            value!({"type": "object", "properties": {"a": {"type": "string", "anyOf": [{"type": "string"}]}}}),
            vec![format!(
                "{at}.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"
            )],
        ),
        (
            value!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": "true"}]}}}),
            vec![format!(
                "{at}.properties[a].x-kubernetes-validations: Forbidden: validation by rules in CEL is not supported yet"
            )],
        ),
        (
            value!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}),
            vec![format!(
                "{at}.properties[a].default: Invalid value: \"string\": {at}.properties[a].default in body must be of type integer: \"string\""
            )],
        ),
        (
            value!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
            vec![format!(
                "{at}.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: unclosed group"
            )],
        ),
        (
            value!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}}),
            vec![format!(
                "{at}.properties[l].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )],
        ),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(crd(schema), &expected);
    }
}

#[test]
fn names_are_fixed_once_a_definition_is_served() {
    let mut old = plain();
    old.set_at(&["metadata", "resourceVersion"], "1");
    status::accept_names(&mut old, &[], "2024-01-01T00:00:00Z");
    assert!(status::is_true(&old, "Established"));
    let mut new = old.clone();
    new.set_at(&["spec", "scope"], "Cluster");
    let expected = ["spec.scope: Invalid value: \"Cluster\": field is immutable"];
    check_update(&CustomResourceDefinition, &old, new, &expected);
    let mut new = old.clone();
    new.set_at(&["spec", "versions"], value!([{
        "name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}
    }]));
    CustomResourceDefinition.prepare_update(&mut new, &old, crate::Door::Main);
    let expected = [
        "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions",
    ];
    check_update(&CustomResourceDefinition, &old, new, &expected);
}

#[test]
fn names_go_to_whoever_came_first() {
    let now = "2024-01-01T00:00:00Z";
    let mut first = plain();
    status::accept_names(&mut first, &[], now);
    let mut second = with(&["metadata", "name"], "others.stable.example.com");
    second.set_at(
        &["spec", "names"],
        value!({
            "plural": "others", "singular": "ct", "kind": "Other", "listKind": "OtherList"
        }),
    );
    status::accept_names(&mut second, std::slice::from_ref(&first), now);
    assert!(!status::is_true(&second, "Established"));
    let accepted = second.at(&["status", "acceptedNames"]).cloned();
    assert_eq!(
        accepted,
        Some(value!({"plural": "others", "kind": "Other", "listKind": "OtherList"}))
    );
    let conditions = second.items_at(&["status", "conditions"]);
    let words: Vec<(&str, &str, &str)> = conditions
        .iter()
        .map(|c| {
            (
                c.str_at(&["type"]),
                c.str_at(&["reason"]),
                c.str_at(&["message"]),
            )
        })
        .collect();
    assert_eq!(
        words,
        [
            (
                "NamesAccepted",
                "SingularConflict",
                "\"ct\" is already in use"
            ),
            ("Established", "NotAccepted", "not all names are accepted")
        ]
    );
}
