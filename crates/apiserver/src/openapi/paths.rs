//! The paths of a kind and what can be asked there. Names of operations and
//! parameters follow apiserver's pkg/endpoints/installer.go.

use super::custom;
use super::schemas::{self, Dialect, PATCH};
use api::{Card, Kind, Subresource, Verbs};
use meta::schema::{Struct, Type};
use meta::{Map, Value, value};

const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const PATCH_QUERY: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "orphanDependents",
    "propagationPolicy",
];
const DELETE_COLLECTION: &[&str] = &[
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "labelSelector",
    "limit",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
];
const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
const PRODUCED: &[&str] = &["application/json", "application/yaml"];
const STREAMED: &[&str] = &[
    "application/json",
    "application/json;stream=watch",
    "application/yaml",
];

/// The schema of a body by its kind: `("autoscaling", "v1", "Scale")`.
pub(super) fn body_schema(group: &str, version: &str, kind: &str) -> Option<&'static Struct> {
    let folder = match group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    api::schema::find(&format!("k8s.io/api/{folder}/{version}"), kind)
}

/// Adds the paths of a kind.
pub(super) fn add(paths: &mut Map, kind: &dyn Kind, dialect: Dialect) {
    let card = kind.card();
    let root = match card.group {
        "" => format!("/api/{}", card.version),
        group => format!("/apis/{group}/{}", card.version),
    };
    let everywhere = format!("{root}/{}", card.plural);
    let collection = match card.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", card.plural),
        false => everywhere.clone(),
    };
    let object = format!("{collection}/{{name}}");
    let write = |sub, named| Writer {
        kind,
        card,
        dialect,
        sub,
        named,
    };
    let verbs = card.verbs.names();
    if card.namespaced && verbs.contains(&"list") {
        let mut methods = Map::new();
        methods.insert("get", write(None, false).list(true));
        paths.insert(everywhere, Value::Object(methods));
    }
    let at_collection = write(None, false).methods(&[
        ("get", "list", verbs.contains(&"list")),
        ("post", "post", verbs.contains(&"create")),
        (
            "delete",
            "deletecollection",
            verbs.contains(&"deletecollection"),
        ),
    ]);
    paths.insert(collection, at_collection);
    if card.verbs == Verbs::CreateOnly {
        return;
    }
    let at_object = write(None, true).methods(&[
        ("get", "get", verbs.contains(&"get")),
        ("put", "put", verbs.contains(&"update")),
        ("patch", "patch", verbs.contains(&"patch")),
        ("delete", "delete", verbs.contains(&"delete")),
    ]);
    paths.insert(object.clone(), at_object);
    for sub in card.subresources {
        let has = |verb| sub.verbs.contains(&verb);
        let at_sub = write(Some(sub), true).methods(&[
            ("get", "get", has("get")),
            ("put", "put", has("update")),
            ("patch", "patch", has("patch")),
            ("post", "post", has("create")),
            ("delete", "delete", has("delete")),
        ]);
        paths.insert(format!("{object}/{}", sub.name), at_sub);
    }
}

/// Writes what can be asked at one path.
struct Writer<'a> {
    kind: &'a dyn Kind,
    card: &'a Card,
    dialect: Dialect,
    sub: Option<&'a Subresource>,
    named: bool,
}

impl Writer<'_> {
    fn methods(&self, wanted: &[(&str, &str, bool)]) -> Value {
        let mut methods = Map::new();
        for (method, action, is_served) in wanted {
            if *is_served {
                let operation = match *action {
                    "list" => self.list(false),
                    action => self.operation(method, action),
                };
                methods.insert(*method, operation);
            }
        }
        let mut parameters = Vec::new();
        if self.named {
            let about = format!("name of the {}", self.card.kind);
            parameters.push(self.parameter("name", "path", "string", &about));
        }
        if self.card.namespaced {
            let about = "object name and auth scope, such as for teams and projects";
            parameters.push(self.parameter("namespace", "path", "string", about));
        }
        if !parameters.is_empty() {
            methods.insert("parameters", Value::Array(parameters));
        }
        Value::Object(methods)
    }

    fn list(&self, everywhere: bool) -> Value {
        let answer = match self.card.is_custom() {
            true => Some(custom::list_name(self.kind)),
            false => api::schema::find(&self.card.schema.package, &self.kind.list_kind())
                .map(schemas::name),
        };
        let place = match (everywhere, self.card.namespaced) {
            (true, _) => ("", "ForAllNamespaces"),
            (false, true) => ("Namespaced", ""),
            (false, false) => ("", ""),
        };
        let mut operation = self.started("list", &format!("list{}", self.id("", place)), LIST);
        self.answers(&mut operation, &["200"], answer.as_deref(), STREAMED);
        Value::Object(operation)
    }

    fn operation(&self, method: &str, action: &str) -> Value {
        let streams = self.options();
        let place = if self.card.namespaced {
            ("Namespaced", "")
        } else {
            ("", "")
        };
        let id = match (action, streams) {
            (_, Some(_)) if self.sub.is_some_and(|s| s.name != "log") => {
                format!("connect{}", self.id(&capital(method), place))
            }
            ("deletecollection", _) => format!("delete{}", self.id("Collection", place)),
            ("get", _) => format!("read{}", self.id("", place)),
            ("post", _) => format!("create{}", self.id("", place)),
            ("put", _) => format!("replace{}", self.id("", place)),
            (other, _) => format!("{other}{}", self.id("", place)),
        };
        let query = match (action, streams) {
            (_, Some(_)) | ("get", _) => &[],
            ("patch", _) => PATCH_QUERY,
            ("delete", _) => DELETE,
            ("deletecollection", _) => DELETE_COLLECTION,
            _ => WRITE,
        };
        let mut operation = self.started(action, &id, query);
        if let Some(options) = streams {
            let more: Vec<Value> = options
                .fields
                .iter()
                .filter_map(|f| self.option(f))
                .collect();
            operation.entry("parameters").make_array().extend(more);
            self.answers(&mut operation, &["200"], None, &["*/*"]);
            return Value::Object(operation);
        }
        let kind = schemas::name(self.body());
        let status = schemas::name(&api::generated::meta_v1::STATUS);
        let options = schemas::name(&api::generated::meta_v1::DELETE_OPTIONS);
        let (body, answer, codes): (_, _, &[&str]) = match action {
            "get" => (None, &kind, &["200"]),
            "post" => (
                Some((kind.as_str(), &["*/*"][..], true)),
                &kind,
                &["200", "201", "202"],
            ),
            "put" => (
                Some((kind.as_str(), &["*/*"][..], true)),
                &kind,
                &["200", "201"],
            ),
            "patch" if self.card.is_custom() => {
                (Some((PATCH, &PATCHES[..3], true)), &kind, &["200", "201"])
            }
            "patch" => (Some((PATCH, PATCHES, true)), &kind, &["200", "201"]),
            _ => (
                Some((options.as_str(), &["*/*"][..], false)),
                &status,
                &["200", "202"],
            ),
        };
        if let Some((name, consumed, required)) = body {
            self.takes(&mut operation, name, consumed, required);
        }
        self.answers(&mut operation, codes, Some(answer), PRODUCED);
        Value::Object(operation)
    }

    /// The schema of what is sent and answered here.
    fn body(&self) -> &Struct {
        let own = self.sub.and_then(|sub| sub.body);
        own.and_then(|(group, version, kind)| body_schema(group, version, kind))
            .unwrap_or(&self.card.schema)
    }

    /// The kind that an operation here is about.
    fn gvk(&self) -> Value {
        let (group, version, kind) = self.sub.and_then(|sub| sub.body).unwrap_or((
            self.card.group,
            self.card.version,
            self.card.kind,
        ));
        value!({"group": group, "version": version, "kind": kind})
    }

    /// The options of a subresource that streams.
    fn options(&self) -> Option<&'static Struct> {
        let kind = self.card.kind;
        let name = match self.sub?.name {
            "attach" => "PodAttachOptions".to_string(),
            "exec" => "PodExecOptions".to_string(),
            "log" => "PodLogOptions".to_string(),
            "portforward" => "PodPortForwardOptions".to_string(),
            "proxy" => format!("{kind}ProxyOptions"),
            _ => return None,
        };
        body_schema("", "v1", &name)
    }

    fn option(&self, field: &meta::schema::Field) -> Option<Value> {
        let ty = match field.ty {
            Type::Bool => "boolean",
            Type::Int32 | Type::Int64 => "integer",
            _ => "string",
        };
        let is_type = matches!(&*field.json, "kind" | "apiVersion");
        (!is_type).then(|| self.parameter(&field.json, "query", ty, ""))
    }

    /// `CoreV1NamespacedPodStatus`
    fn id(&self, middle: &str, (before, after): (&str, &str)) -> String {
        let sub = self.sub.map(|s| capital(s.name)).unwrap_or_default();
        let (group, version) = (group_name(self.card), capital(self.card.version));
        format!(
            "{group}{version}{middle}{before}{}{sub}{after}",
            self.card.kind
        )
    }

    fn started(&self, action: &str, id: &str, query: &[&str]) -> Map {
        let card = self.card;
        let what = match self.sub {
            Some(sub) => format!("{} of the {}", sub.name, card.kind),
            None => format!("{} objects", card.kind),
        };
        let tag = format!("{}_{}", lower_first(&group_name(card)), card.version);
        let mut map = Map::new();
        map.insert("tags", vec![tag]);
        map.insert("operationId", id);
        map.insert("description", format!("{action}: {what}"));
        map.insert("x-kubernetes-action", action);
        map.insert("x-kubernetes-group-version-kind", self.gvk());
        let query = query
            .iter()
            .map(|name| self.parameter(name, "query", query_type(name), ""));
        let pretty = self.parameter("pretty", "query", "string", "");
        map.insert(
            "parameters",
            Value::Array(query.chain(std::iter::once(pretty)).collect()),
        );
        map
    }

    fn parameter(&self, name: &str, place: &str, ty: &str, about: &str) -> Value {
        let mut map = Map::new();
        map.insert("name", name);
        map.insert("in", place);
        if !about.is_empty() {
            map.insert("description", about);
        }
        if place == "path" {
            map.insert("required", true);
        }
        match self.dialect {
            Dialect::V2 => {
                map.insert("type", ty);
                map.insert("uniqueItems", true);
            }
            Dialect::V3 => {
                map.insert("schema", value!({"type": ty, "uniqueItems": true}));
            }
        }
        Value::Object(map)
    }

    fn takes(&self, operation: &mut Map, name: &str, consumed: &[&str], required: bool) {
        let schema = self.dialect.reference(name);
        match self.dialect {
            Dialect::V2 => {
                let mut body = value!({"name": "body", "in": "body", "schema": schema});
                if required {
                    body.set_at(&["required"], true);
                }
                operation.entry("parameters").make_array().push(body);
                operation.insert("consumes", consumed.to_vec());
            }
            Dialect::V3 => {
                let content: Map = consumed
                    .iter()
                    .map(|media| (*media, value!({"schema": schema.clone()})))
                    .collect();
                let mut body = value!({"content": content});
                if required {
                    body.set_at(&["required"], true);
                }
                operation.insert("requestBody", body);
            }
        }
    }

    fn answers(&self, operation: &mut Map, codes: &[&str], name: Option<&str>, media: &[&str]) {
        let schema = match name {
            Some(name) => self.dialect.reference(name),
            None => value!({"type": "string"}),
        };
        let mut responses = Map::new();
        for code in codes {
            let about = match *code {
                "201" => "Created",
                "202" => "Accepted",
                _ => "OK",
            };
            let response = match self.dialect {
                Dialect::V2 => value!({"description": about, "schema": schema.clone()}),
                Dialect::V3 => {
                    let content: Map = media
                        .iter()
                        .map(|media| (*media, value!({"schema": schema.clone()})))
                        .collect();
                    value!({"description": about, "content": content})
                }
            };
            responses.insert(*code, response);
        }
        responses.insert("401", value!({"description": "Unauthorized"}));
        operation.insert("responses", responses);
        if self.dialect == Dialect::V2 {
            operation.insert("produces", media.to_vec());
            operation.insert("schemes", vec!["https"]);
        }
    }
}

fn query_type(name: &str) -> &'static str {
    match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "watch" | "allowWatchBookmarks" | "sendInitialEvents" | "orphanDependents" | "force" => {
            "boolean"
        }
        _ => "string",
    }
}

/// `Core`, `Apps`, `RbacAuthorization`
fn group_name(card: &Card) -> String {
    match card.group {
        "" => "Core".to_string(),
        group => group
            .trim_end_matches(".k8s.io")
            .split('.')
            .map(capital)
            .collect(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
