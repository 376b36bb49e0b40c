//! Whether a schema is structural: each field has one type, said outside of
//! the junctors. Follows pkg/apiserver/schema/{validation,complete}.go of
//! apiextensions-apiserver.

use crate::apiextensions::structural::Pattern;
use meta::{Errors, Field, Value};

/// How deep a schema is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What is not structural about a schema.
pub(super) fn check(schema: &Field<'_>, errors: &mut Errors) {
    invariants(schema, Level::Root, errors);
    complete(schema, schema, errors);
}

fn is(props: &Field<'_>, extension: &str) -> bool {
    props.get(&format!("x-kubernetes-{extension}")).is_true()
}

fn invariants(props: &Field<'_>, level: Level, errors: &mut Errors) {
    let (ty, items) = (props.get("type"), props.get("items"));
    if ty.str() == "array" && !items.is_present() {
        errors.push(items.required("must be specified"));
    }
    if items.is_present() {
        invariants(&items, Level::Item, errors);
    }
    let properties = props.get("properties");
    for (_, of) in properties.entries() {
        invariants(&of, Level::Field, errors);
    }
    let additional = props.get("additionalProperties");
    if additional.is_present() {
        if level == Level::Root {
            errors.push(additional.forbidden("must not be used at the root"));
        }
        if additional.value.is_some_and(|v| v.as_object().is_some()) {
            invariants(&additional, Level::Field, errors);
        }
    }
    check_int_or_string(props, errors);
    junctors(props, props, errors);
    check_type(props, level, errors);
    if is(props, "embedded-resource") && additional.is_present() {
        errors.push(
            additional.forbidden("must not be used if x-kubernetes-embedded-resource is set"),
        );
    }
    check_common(props, level, errors);
}

fn check_int_or_string(props: &Field<'_>, errors: &mut Errors) {
    const WHY: &str = "must be false if x-kubernetes-int-or-string is true";
    if !is(props, "int-or-string") {
        return;
    }
    for other in ["preserve-unknown-fields", "embedded-resource"] {
        if is(props, other) {
            let field = props.get(&format!("x-kubernetes-{other}"));
            errors.push(field.invalid(WHY));
        }
    }
}

fn check_type(props: &Field<'_>, level: Level, errors: &mut Errors) {
    let ty = props.get("type");
    let loose = is(props, "int-or-string") || is(props, "preserve-unknown-fields");
    if is(props, "embedded-resource") && ty.str() != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match ty.is_empty() {
            true => ty.required(detail),
            false => ty.invalid(detail),
        });
    } else if ty.is_empty() && !loose {
        errors.push(ty.required(match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        }));
    }
    if level == Level::Root && !ty.is_empty() && ty.str() != "object" {
        errors.push(ty.invalid("must be object at the root"));
    }
}

/// What a schema says of apiVersion, kind and metadata.
fn check_common(props: &Field<'_>, level: Level, errors: &mut Errors) {
    let properties = props.get("properties");
    let of = |name: &str| {
        let value = properties.value.and_then(|all| all.get(name));
        Field::new(properties.path.key(name), value)
    };
    let is_resource = level == Level::Root || is(props, "embedded-resource");
    for name in ["kind", "apiVersion"] {
        let ty = of(name).get("type");
        if is_resource && of(name).is_present() && ty.str() != "string" {
            errors.push(ty.invalid("must be string"));
        }
    }
    let metadata = of("metadata");
    if metadata.is_present() {
        let ty = metadata.get("type");
        if is_resource && ty.str() != "object" {
            errors.push(ty.invalid("must be object"));
        }
        if level == Level::Root && !is_plain_metadata(metadata.value) {
            errors.push(metadata.forbidden("must not specify anything other than name and generateName, but metadata is implicitly specified"));
        }
    }
    let empty = properties.len() == 0 && !is(props, "preserve-unknown-fields");
    if is(props, "embedded-resource") && empty {
        errors.push(properties.required("must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"));
    }
}

/// Nothing but a type, a description, and rules for the names.
fn is_plain_metadata(metadata: Option<&Value>) -> bool {
    let map = metadata.and_then(Value::as_object);
    map.into_iter()
        .flat_map(|map| map.iter())
        .all(|(key, value)| match key.as_str() {
            "type" => true,
            "properties" => value.as_object().is_none_or(|properties| {
                properties
                    .iter()
                    .all(|(name, _)| matches!(name.as_str(), "name" | "generateName"))
            }),
            _ => false,
        })
}

/// `anyOf: [{type: integer}, {type: string}]`, which may stand beside integers or texts.
fn is_either(junctor: &Field<'_>) -> bool {
    let types: Vec<&str> = junctor.items().map(|of| of.get("type").str()).collect();
    types == ["integer", "string"]
        && junctor.items().all(|of| {
            of.value
                .and_then(Value::as_object)
                .is_some_and(|m| m.len() == 1)
        })
}

fn junctors(props: &Field<'_>, outer: &Field<'_>, errors: &mut Errors) {
    let mixed = is(outer, "int-or-string");
    let any_of = props.get("anyOf");
    if !(mixed && is_either(&any_of)) {
        any_of.items().for_each(|of| nested(&of, errors));
    }
    for (i, of) in props.get("allOf").items().enumerate() {
        if mixed && i == 0 && is_either(&of.get("anyOf")) {
            continue;
        }
        nested(&of, errors);
    }
    props
        .get("oneOf")
        .items()
        .for_each(|of| nested(&of, errors));
    let not = props.get("not");
    if not.is_present() {
        nested(&not, errors);
    }
    let pattern = props.get("pattern");
    if let (false, Err(why)) = (pattern.is_empty(), Pattern::new(pattern.str())) {
        errors.push(pattern.invalid(format!(
            "must be a valid regular expression, but isn't: {why}"
        )));
    }
}

/// Below a junctor values are looked at and nothing is declared.
fn nested(props: &Field<'_>, errors: &mut Errors) {
    junctors(props, props, errors);
    let items = props.get("items");
    if items.is_present() {
        nested(&items, errors);
    }
    for (name, of) in props.get("properties").entries() {
        nested(&of, errors);
        if name == "metadata" {
            errors.push(of.forbidden("must not be specified in a nested context"));
        }
    }
    let forbidden = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("externalDocs", "must be undefined to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-embedded-resource",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-int-or-string",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-list-map-keys",
            "must be empty to be structural",
        ),
        (
            "x-kubernetes-list-type",
            "must be undefined to be structural",
        ),
        (
            "x-kubernetes-map-type",
            "must be undefined to be structural",
        ),
    ];
    for (key, why) in forbidden {
        let field = props.get(key);
        let says_no =
            field.value.and_then(Value::as_bool) == Some(false) && key != "additionalProperties";
        if field.is_present() && !says_no {
            errors.push(field.forbidden(why));
        }
    }
}

/// What a junctor speaks of is declared outside of it.
fn complete(props: &Field<'_>, outer: &Field<'_>, errors: &mut Errors) {
    for (name, of) in props.get("properties").entries() {
        let declared = outer.get("properties");
        let value = declared.value.and_then(|all| all.get(name));
        let declared = Field::new(declared.path.key(name), value);
        complete(&of, &declared, errors);
    }
    let items = props.get("items");
    if items.is_present() {
        complete(&items, &outer.get("items"), errors);
    }
    let additional = props.get("additionalProperties");
    if additional.value.is_some_and(|v| v.as_object().is_some()) {
        complete(&additional, &outer.get("additionalProperties"), errors);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        props
            .get(key)
            .items()
            .for_each(|of| declared(&of, outer, errors));
    }
    declared(&props.get("not"), outer, errors);
}

fn declared(props: &Field<'_>, outer: &Field<'_>, errors: &mut Errors) {
    if !props.is_present() {
        return;
    }
    for (name, of) in props.get("properties").entries() {
        let all = outer.get("properties");
        let value = all.value.and_then(|all| all.get(name));
        let found = Field::new(all.path.key(name), value);
        if !found.is_present() {
            errors.push(found.required(format!("because it is defined in {}", of.path)));
            continue;
        }
        declared(&of, &found, errors);
    }
    let items = props.get("items");
    if items.is_present() {
        let found = outer.get("items");
        match found.is_present() {
            true => declared(&items, &found, errors),
            false => {
                errors.push(found.required(format!("because it is defined in {}", items.path)))
            }
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        props
            .get(key)
            .items()
            .for_each(|of| declared(&of, outer, errors));
    }
    declared(&props.get("not"), outer, errors);
}
