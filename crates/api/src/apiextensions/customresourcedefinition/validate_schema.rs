//! What a schema of a definition may say. Follows
//! pkg/apis/apiextensions/validation/validation.go of apiextensions-apiserver.

use super::validate_structural;
use crate::apiextensions::structural::Structural;
use crate::check::unsupported;
use meta::{Errors, Field, FieldError, Value};

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// What the root may say when status has a door of its own, by its name in Go.
const AT_ROOT: &[(&str, &str)] = &[
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    (
        "x-kubernetes-preserve-unknown-fields",
        "XPreserveUnknownFields",
    ),
    ("x-kubernetes-validations", "XValidations"),
];

/// Where a node stands, for what depends on it.
#[derive(Clone, Copy)]
struct Place<'a> {
    is_root: bool,
    /// Why there may be no default.
    no_default: Option<&'a str>,
    in_metadata: bool,
}

/// What is wrong with `openAPIV3Schema`.
pub(super) fn check(schema: &Field<'_>, has_status: bool, errors: &mut Errors) {
    let Some(value) = schema.value else { return };
    if has_status {
        check_root(schema, errors);
    }
    if schema.get("nullable").is_true() {
        let path = schema.path.child("nullable");
        let nullable = Field::new(path, schema.value);
        errors.push(nullable.forbidden("nullable cannot be true at the root"));
    }
    let before = errors.0.len();
    validate_structural::check(schema, errors);
    errors.0[before..].sort_by_key(ToString::to_string);
    if errors.0.len() == before {
        check_defaults(schema, &Structural::new(value), errors);
    }
    let place = Place {
        is_root: true,
        no_default: None,
        in_metadata: false,
    };
    check_node(schema, place, errors);
}

fn check_root(schema: &Field<'_>, errors: &mut Errors) {
    let ty = schema.get("type");
    if !ty.is_empty() && ty.str() != "object" {
        errors.push(FieldError::invalid(
            &schema.path.child("type"),
            ty.str(),
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled",
        ));
        return;
    }
    let fields = schema.value.and_then(Value::as_object);
    let mut fields = fields.into_iter().flat_map(|map| map.iter());
    if fields.any(|(key, _)| !AT_ROOT.iter().any(|(json, _)| json == key)) {
        let names: Vec<&str> = AT_ROOT.iter().map(|(_, go)| *go).collect();
        errors.push(schema.invalid(format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            names.join(" ")
        )));
    }
}

/// Each default is what its schema wants, and says nothing that it does not name.
fn check_defaults(props: &Field<'_>, schema: &Structural, errors: &mut Errors) {
    if let Some(default) = &schema.default {
        let field = props.get("default");
        let mut pruned = default.clone();
        if !schema.prune_inner(&mut pruned).is_empty() {
            errors.push(field.invalid("must not have unknown fields"));
        }
        let mut wrong = Errors::new();
        schema.check(default, None, &mut wrong);
        for error in wrong {
            let below = match error.field.as_str() {
                "<nil>" => field.path.to_string(),
                below => format!("{}.{below}", field.path),
            };
            errors.push(FieldError {
                detail: format!("{below}{}", error.detail),
                field: below,
                ..error
            });
        }
    }
    for (name, of) in &schema.properties {
        let path = props.path.child("properties").key(name);
        let value = props.get("properties").value.and_then(|all| all.get(name));
        check_defaults(&Field::new(path, value), of, errors);
    }
    if let Some(of) = &schema.items {
        check_defaults(&props.get("items"), of, errors);
    }
    if let crate::apiextensions::structural::Additional::Of(of) = &schema.additional {
        check_defaults(&props.get("additionalProperties"), of, errors);
    }
}

fn check_node(props: &Field<'_>, place: Place<'_>, errors: &mut Errors) {
    if !props.is_present() {
        return;
    }
    check_known(props, place, errors);
    let inner = Place {
        is_root: false,
        ..place
    };
    let additional = props.get("additionalProperties");
    if additional.is_present() {
        let says_more = additional.value.and_then(Value::as_bool) != Some(true);
        if props.get("properties").len() > 0 && says_more {
            errors.push(
                additional.forbidden("additionalProperties and properties are mutual exclusive"),
            );
        }
        let within = match place.in_metadata {
            true => Place {
                no_default: Some("inside additionalProperties applying to object metadata"),
                ..inner
            },
            false => inner,
        };
        if additional.value.is_some_and(|v| v.as_object().is_some()) {
            check_node(&additional, within, errors);
        }
    }
    let is_resource = place.is_root || props.get("x-kubernetes-embedded-resource").is_true();
    for (name, of) in props.get("properties").entries() {
        let is_common = is_resource && matches!(name, "metadata" | "kind" | "apiVersion");
        let why = format!("in top-level {name}");
        let within = Place {
            in_metadata: inner.in_metadata || is_common,
            no_default: match is_common && place.is_root {
                true => Some(why.as_str()),
                false => inner.no_default,
            },
            ..inner
        };
        check_node(&of, within, errors);
    }
    check_node(&props.get("not"), inner, errors);
    for key in ["allOf", "oneOf", "anyOf"] {
        for of in props.get(key).items() {
            check_node(&of, inner, errors);
        }
    }
    let items = props.get("items");
    if items.value.is_some_and(|v| v.as_object().is_some()) {
        check_node(&items, inner, errors);
    }
    check_extensions(props, errors);
}

/// What is refused whatever the place.
fn check_known(props: &Field<'_>, place: Place<'_>, errors: &mut Errors) {
    let ty = props.get("type");
    if !ty.is_empty() && !TYPES.contains(&ty.str()) {
        errors.push(ty.not_supported(TYPES));
    }
    let default = props.get("default");
    if let (true, Some(why)) = (default.is_present(), place.no_default) {
        errors.push(default.forbidden(format!("must not be set {why}")));
    }
    for key in ["id", "additionalItems"] {
        if props.get(key).is_present() {
            errors.push(props.get(key).forbidden(format!("{key} is not supported")));
        }
    }
    for key in ["patternProperties", "definitions", "dependencies", "$ref"] {
        if props.get(key).is_present() {
            errors.push(props.get(key).forbidden(format!("{key} is not supported")));
        }
    }
    if ty.str() == "null" {
        errors.push(ty.forbidden("type cannot be set to null, use nullable as an alternative"));
    }
    let items = props.get("items");
    if items.value.is_some_and(|v| v.as_array().is_some()) {
        errors.push(items.forbidden("items must be a schema object and not an array"));
    }
    if place.in_metadata && props.get("x-kubernetes-embedded-resource").is_true() {
        let embedded = props.get("x-kubernetes-embedded-resource");
        errors.push(embedded.forbidden("must not be used inside of resource meta"));
    }
    if props.get("uniqueItems").is_true() {
        errors.push(props.get("uniqueItems").forbidden(
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    let rules = props.get("x-kubernetes-validations");
    if rules.len() > 0 {
        errors.push(unsupported(&rules, "validation by rules in CEL"));
    }
}

/// A type that an extension wants.
fn wants_type(props: &Field<'_>, wanted: &str, extension: &str, errors: &mut Errors) -> bool {
    let ty = props.get("type");
    let detail = format!("must be {wanted} if {extension} is specified");
    match ty.str() {
        found if found == wanted => return true,
        "" => errors.push(ty.required(detail)),
        _ => errors.push(ty.invalid(detail)),
    }
    false
}

fn check_extensions(props: &Field<'_>, errors: &mut Errors) {
    let preserve = props.get("x-kubernetes-preserve-unknown-fields");
    if preserve.value.and_then(Value::as_bool) == Some(false) {
        errors.push(preserve.invalid("must be true or undefined"));
    }
    let map_type = props.get("x-kubernetes-map-type");
    if map_type.is_present() {
        wants_type(props, "object", "x-kubernetes-map-type", errors);
        if !matches!(map_type.str(), "atomic" | "granular") {
            errors.push(map_type.not_supported(&["atomic", "granular"]));
        }
    }
    let list_type = props.get("x-kubernetes-list-type");
    let items = props.get("items");
    if list_type.is_present() {
        if wants_type(props, "array", "x-kubernetes-list-type", errors) && list_type.str() == "set"
        {
            check_set(&items, errors);
        }
        if !matches!(list_type.str(), "atomic" | "set" | "map") {
            errors.push(list_type.not_supported(&["atomic", "set", "map"]));
        }
    }
    let keys = props.get("x-kubernetes-list-map-keys");
    if keys.len() > 0 && list_type.str() != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match list_type.is_present() {
            false => list_type.required(detail),
            true => list_type.invalid(detail),
        });
    }
    if list_type.str() == "map" {
        check_map(&items, &keys, errors);
    }
    if matches!(list_type.str(), "map" | "set") && items.get("nullable").is_true() {
        let detail = format!(
            "cannot be nullable when x-kubernetes-list-type is {}",
            list_type.str()
        );
        errors.push(items.get("nullable").forbidden(detail));
    }
}

fn check_set(items: &Field<'_>, errors: &mut Errors) {
    const WHY: &str = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let (list, map) = (
        items.get("x-kubernetes-list-type"),
        items.get("x-kubernetes-map-type"),
    );
    match items.get("type").str() {
        "array" if !matches!(list.str(), "" | "atomic") => errors.push(list.invalid(WHY)),
        "object" if map.str() != "atomic" => errors.push(map.invalid(WHY)),
        _ => {}
    }
}

fn check_map(items: &Field<'_>, keys: &Field<'_>, errors: &mut Errors) {
    if keys.len() == 0 {
        errors.push(keys.required("must not be empty if x-kubernetes-list-type is map"));
    }
    if !items.is_present() {
        errors.push(items.required("must have a schema if x-kubernetes-list-type is map"));
        return;
    }
    let ty = items.get("type");
    if ty.str() != "object" {
        errors.push(ty.invalid("must be object if parent array's x-kubernetes-list-type is map"));
        return;
    }
    let properties = items.get("properties");
    let required: Vec<&str> = items.get("required").items().map(|r| r.str()).collect();
    let mut seen: Vec<&str> = Vec::new();
    for key in keys.items() {
        let name = key.str();
        let value = properties.value.and_then(|all| all.get(name));
        let of = Field::new(properties.path.key(name), value);
        if !of.is_present() {
            errors.push(keys.invalid("entries must all be names of item properties"));
            continue;
        }
        if matches!(of.get("type").str(), "array" | "object") {
            errors.push(
                of.get("type").invalid(
                    "must be a scalar type if parent array's x-kubernetes-list-type is map",
                ),
            );
        }
        if seen.contains(&name) {
            errors.push(keys.invalid("must not contain duplicate entries"));
        }
        seen.push(name);
        if !required.contains(&name) && !of.get("default").is_present() {
            errors.push(of.get("default").required("this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
        }
        if of.get("nullable").is_true() {
            errors.push(of.get("nullable").forbidden(
                "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
            ));
        }
    }
}
