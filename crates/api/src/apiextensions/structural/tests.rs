//! Cases of structural schemas: what is kept, filled in and refused.

use super::Structural;
use meta::{Errors, Path, Value, value};

fn crontab() -> Structural {
    Structural::new(&value!({
        "type": "object", "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object", "required": ["cronSpec"],
                "properties": {
                    "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
                    "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                    "policy": {"type": "string", "enum": ["Allow", "Forbid"]},
                    "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "note": {"type": "string", "nullable": true, "maxLength": 3},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}, "maxItems": 3},
                    "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number", "protocol"],
                        "items": {"type": "object", "required": ["number"], "properties": {
                            "number": {"type": "integer", "format": "int32"}, "protocol": {"type": "string", "default": "TCP"}}}},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
                    "at": {"type": "string", "format": "date-time"},
                    "choice": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                        "oneOf": [{"required": ["a"]}, {"required": ["b"]}], "not": {"required": ["c"]}},
                    "ratio": {"type": "number", "multipleOf": 0.5, "exclusiveMinimum": true, "minimum": 0}
                }
            }
        }
    }))
}

#[track_caller]
fn check(spec: Value, expected: &[&str]) {
    let mut errors = Errors::new();
    let object = value!({"spec": spec});
    crontab().check(&object, None, &mut errors);
    crontab().check_lists(&object, &Path::root(), &mut errors);
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

#[test]
fn what_is_wrong_is_said_as_upstream_says_it() {
    check(
        value!({"cronSpec": "* * * * */5", "replicas": 3, "port": "x", "ratio": 1.5}),
        &[],
    );
    check(value!({}), &["spec.cronSpec: Required value"]);
    check(
        value!({"cronSpec": "* * * *", "replicas": 15}),
        &[
            "spec.cronSpec: Invalid value: \"* * * *\": spec.cronSpec in body should match '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'",
            "spec.replicas: Invalid value: 15: spec.replicas in body should be less than or equal to 10",
        ],
    );
    check(
        value!({"cronSpec": 5}),
        &[
            "spec.cronSpec: Invalid value: \"integer\": spec.cronSpec in body must be of type string: \"integer\"",
        ],
    );
    let with = |key: &str, of: Value| {
        let mut spec = value!({"cronSpec": "* * * * *"});
        spec.set_at(&[key], of);
        spec
    };
    check(
        with("policy", "Maybe".into()),
        &["spec.policy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\""],
    );
    check(
        with("port", value!(1.5)),
        &[
            "spec.port: Invalid value: \"number\": spec.port in body must be of type integer,string: \"number\"",
        ],
    );
    check(with("note", Value::Null), &[]);
    check(
        with("note", "abcd".into()),
        &["spec.note: Too long: may not be more than 3 bytes"],
    );
    check(
        with("replicas", Value::Null),
        &[
            "spec.replicas: Invalid value: \"null\": spec.replicas in body must be of type integer: \"null\"",
        ],
    );
    check(
        with("labels", value!({"a": 1, "b": "x"})),
        &[
            "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"",
        ],
    );
    check(
        with("labels", value!({"a": "", "b": "", "c": ""})),
        &["spec.labels: Too many: 3: must have at most 2 items"],
    );
    check(
        with("set", value!(["a", "b", "a"])),
        &["spec.set[2]: Duplicate value: \"a\""],
    );
    check(
        with("set", value!(["a", "b", "c", "d"])),
        &["spec.set: Too many: 4: must have at most 3 items"],
    );
    check(
        with(
            "ports",
            value!([{"number": 1}, {"number": 1, "protocol": "TCP"}]),
        ),
        &["spec.ports[1]: Duplicate value: {\"number\":1,\"protocol\":\"TCP\"}"],
    );
    check(
        with("ports", value!([{"number": 1}, {"protocol": "UDP"}])),
        &["spec.ports[1].number: Required value"],
    );
    check(
        with("at", "soon".into()),
        &["spec.at: Invalid value: \"soon\": spec.at in body must be of type date-time: \"soon\""],
    );
    check(
        with("choice", value!({"a": "x", "b": "y"})),
        &[
            "<nil>: Invalid value: \"\": \"spec.choice\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ],
    );
    check(
        with("ratio", value!(0)),
        &["spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0"],
    );
}

#[test]
fn what_was_there_before_is_left_alone() {
    let (old, new) = (
        value!({"spec": {"cronSpec": "never", "replicas": 1}}),
        value!({"spec": {"cronSpec": "never", "replicas": 11}}),
    );
    let mut errors = Errors::new();
    crontab().check(&new, Some(&old), &mut errors);
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"
        ]
    );
}

#[test]
fn what_is_not_named_is_dropped() {
    let mut object = value!({
        "apiVersion": "e.com/v1", "kind": "CronTab", "metadata": {"name": "a"}, "status": {"x": 1},
        "spec": {
            "cronSpec": "x", "image": "y", "labels": {"a": "b"},
            "free": {"anything": [1], "known": {"a": "", "b": ""}},
            "ports": [{"number": 1, "odd": true}],
            "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "odd": 1}, "spec": {"any": 1}}
        }
    });
    let dropped = crontab().prune(&mut object);
    assert_eq!(
        dropped,
        [
            "spec.free.known.b",
            "spec.image",
            "spec.ports[0].odd",
            "spec.template.metadata.odd",
            "status"
        ]
    );
    assert_eq!(object.at(&["spec", "free", "anything"]), Some(&value!([1])));
    assert_eq!(
        object.at(&["spec", "template", "spec", "any"]),
        Some(&value!(1))
    );
}

#[test]
fn defaults_fill_what_is_absent_and_nulls_that_are_no_values() {
    let mut object = value!({"spec": {
        "cronSpec": null, "replicas": null, "note": null, "ports": [{"number": 1}]
    }});
    crontab().fill(&mut object);
    let expected = value!({"spec": {
        "replicas": 1, "note": null, "ports": [{"number": 1, "protocol": "TCP"}]
    }});
    assert_eq!(object, expected);
}
