//! The paths of a kind and what can be asked there.

use super::schemas;
use api::{Card, Verbs};
use meta::{Map, Value, value};

const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
const LIST: [&str; 11] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
];
const DELETE: [&str; 5] = [
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];

/// Adds the paths of a kind.
pub(super) fn add(paths: &mut Map, card: &Card) {
    let root = match card.group {
        "" => format!("/api/{}", card.version),
        group => format!("/apis/{group}/{}", card.version),
    };
    let all = format!("{root}/{}", card.plural);
    let collection = match card.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", card.plural),
        false => all.clone(),
    };
    if card.namespaced && card.verbs != Verbs::CreateOnly {
        paths.insert(all, value!({"get": operation(card, "list", "", &LIST)}));
    }
    let verbs = card.verbs.names();
    let mut at_collection = Map::new();
    for (method, verb, action, parameters) in [
        ("get", "list", "list", &LIST[..]),
        ("post", "create", "post", &WRITE[..]),
        (
            "delete",
            "deletecollection",
            "deletecollection",
            &DELETE[..],
        ),
    ] {
        if verbs.contains(&verb) {
            at_collection.insert(method, operation(card, action, "", parameters));
        }
    }
    paths.insert(
        collection.clone(),
        with_names(at_collection, card.namespaced, false),
    );
    if card.verbs == Verbs::CreateOnly {
        return;
    }
    let object = format!("{collection}/{{name}}");
    let mut at_object = Map::new();
    for (method, verb, parameters) in [
        ("get", "get", &[][..]),
        ("put", "update", &WRITE[..]),
        (
            "patch",
            "patch",
            &["dryRun", "fieldManager", "fieldValidation", "force"][..],
        ),
        ("delete", "delete", &DELETE[..]),
    ] {
        if verbs.contains(&verb) {
            at_object.insert(method, operation(card, method, "", parameters));
        }
    }
    paths.insert(object.clone(), with_names(at_object, card.namespaced, true));
    for sub in card.subresources {
        let mut at_sub = Map::new();
        for (method, verb, parameters) in [
            ("get", "get", &[][..]),
            ("put", "update", &WRITE[..]),
            ("patch", "patch", &WRITE[..]),
            ("post", "create", &WRITE[..]),
        ] {
            if sub.verbs.contains(&verb) {
                at_sub.insert(method, operation(card, method, sub.name, parameters));
            }
        }
        paths.insert(
            format!("{object}/{}", sub.name),
            with_names(at_sub, card.namespaced, true),
        );
    }
}

fn with_names(mut methods: Map, namespaced: bool, named: bool) -> Value {
    let path = |name: &str| value!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    let mut parameters = Vec::new();
    if named {
        parameters.push(path("name"));
    }
    if namespaced {
        parameters.push(path("namespace"));
    }
    if !parameters.is_empty() {
        methods.insert("parameters", Value::Array(parameters));
    }
    Value::Object(methods)
}

fn operation(card: &Card, action: &str, sub: &str, parameters: &[&str]) -> Value {
    let parameters = parameters.iter().map(|name| {
        let ty = match *name {
            "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
            "watch"
            | "allowWatchBookmarks"
            | "sendInitialEvents"
            | "orphanDependents"
            | "force"
            | "ignoreStoreReadErrorWithClusterBreakingPotential" => "boolean",
            _ => "string",
        };
        value!({"name": *name, "in": "query", "schema": {"type": ty, "uniqueItems": true}})
    });
    let group = match card.group {
        "" => "Core".to_string(),
        group => capital(group.split('.').next().unwrap_or(group)),
    };
    let scope = if card.namespaced { "Namespaced" } else { "" };
    let words = match action {
        "get" => "read",
        "put" => "replace",
        "post" => "create",
        "deletecollection" => "deleteCollection",
        other => other,
    };
    let id = format!(
        "{words}{group}{}{scope}{}{}",
        capital(card.version),
        card.kind,
        capital(sub)
    );
    let schema = format!("#/components/schemas/{}", schemas::name(card.schema));
    value!({
        "tags": [format!("{}_{}", group.to_lowercase(), card.version)],
        "operationId": id,
        "parameters": Value::Array(parameters.collect()),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": schema}}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": card.group, "version": card.version, "kind": card.kind}
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
