//! The types that a document speaks of, and all that these hold.

use api::Kind;
use descriptions::Descriptions;
use meta::schema::{Field, List, ListKind, Omit, Patch, Struct, Type};
use meta::{Map, Value, value};
use std::collections::BTreeSet;

use super::custom;

/// Which OpenAPI is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// A reference to a type.
    pub(super) fn reference(self, name: &str) -> Value {
        let home = match self {
            Dialect::V2 => "#/definitions/",
            Dialect::V3 => "#/components/schemas/",
        };
        value!({"$ref": format!("{home}{name}")})
    }
}

/// Types that are one value on the wire and still have a name.
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const DURATION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
/// The body of a patch.
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// Schemas as they are gathered.
pub(super) struct Schemas<'a> {
    dialect: Dialect,
    texts: &'a Descriptions,
    done: Map,
    seen: BTreeSet<String>,
}

/// How OpenAPI names a type: `io.k8s.api.core.v1.Pod`.
pub(super) fn name(of: &Struct) -> String {
    let (host, rest) = of.package.split_once('/').unwrap_or((&of.package, ""));
    let host: Vec<&str> = host.split('.').rev().collect();
    format!("{}.{}.{}", host.join("."), rest.replace('/', "."), of.name)
}

impl<'a> Schemas<'a> {
    /// An empty set.
    pub(super) fn new(dialect: Dialect, texts: &'a Descriptions) -> Self {
        Schemas {
            dialect,
            texts,
            done: Map::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Adds a kind, its list, the bodies of its subresources, and all that
    /// these hold.
    pub(super) fn add_kind(&mut self, kind: &dyn Kind) {
        let card = kind.card();
        match kind.openapi() {
            Some(schema) => self.add_custom(kind, schema),
            None => self.add_named(&card.schema, card.group, card.version, card.kind),
        }
        let list_kind = format!("{}List", card.kind);
        if let Some(list) = api::schema::find(&card.schema.package, &list_kind) {
            self.add_named(list, card.group, card.version, &list_kind);
        }
        for (group, version, kind) in card.subresources.iter().filter_map(|sub| sub.body) {
            if let Some(schema) = super::paths::body_schema(group, version, kind) {
                self.add_named(schema, group, version, kind);
            }
        }
        self.add_named(&api::generated::meta_v1::STATUS, "", "v1", "Status");
        self.add_named(
            &api::generated::meta_v1::DELETE_OPTIONS,
            card.group,
            card.version,
            "DeleteOptions",
        );
        self.simple(PATCH, value!({"type": "object"}));
    }

    /// Adds a custom kind and its list.
    fn add_custom(&mut self, kind: &dyn Kind, schema: &Value) {
        const KINDS: &str = "x-kubernetes-group-version-kind";
        let card = kind.card();
        self.add(&api::generated::meta_v1::OBJECT_META);
        self.add(&api::generated::meta_v1::LIST_META);
        let named = |kind: &str| {
            let gvk = value!({"group": card.group, "version": card.version, "kind": kind});
            Value::Array(vec![gvk])
        };
        let metadata = self
            .dialect
            .reference(&name(&api::generated::meta_v1::OBJECT_META));
        let own = custom::resource(schema, metadata, self.dialect, self.texts);
        let own_name = name(&card.schema);
        let mut own = Value::Object(own);
        own.set_at(&[KINDS], named(card.kind));
        self.done.insert(own_name.as_str(), own);
        let metadata = self
            .dialect
            .reference(&name(&api::generated::meta_v1::LIST_META));
        let item = self.dialect.reference(&own_name);
        let mut list = custom::list(item, metadata, card.kind, self.dialect, self.texts);
        list.set_at(&[KINDS], named(&kind.list_kind()));
        self.done.insert(custom::list_name(kind), list);
    }

    /// Adds a type that stands for a kind.
    fn add_named(&mut self, of: &Struct, group: &str, version: &str, kind: &str) {
        const KINDS: &str = "x-kubernetes-group-version-kind";
        self.add(of);
        let gvk = value!({"group": group, "version": version, "kind": kind});
        if let Some(schema) = self.done.get_mut(&name(of)) {
            let kinds = schema.make_object().entry(KINDS).make_array();
            if !kinds.contains(&gvk) {
                kinds.push(gvk);
            }
        }
    }

    fn add(&mut self, of: &Struct) {
        let name = name(of);
        if !self.seen.insert(name.clone()) {
            return;
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in of.fields.iter() {
            properties.insert(field.json.as_ref(), self.property(&name, field));
            if field.required {
                required.push(Value::from(field.json.as_ref()));
            }
        }
        let mut schema = self.described(self.texts.of_type(&name));
        schema.insert("type", "object");
        if !properties.is_empty() {
            schema.insert("properties", properties);
        }
        if !required.is_empty() {
            schema.insert("required", Value::Array(required));
        }
        if of.atomic {
            schema.insert("x-kubernetes-map-type", "atomic");
        }
        if of.preserve_unknown {
            schema.insert("x-kubernetes-preserve-unknown-fields", true);
        }
        self.done.insert(name, schema);
    }

    fn described(&self, text: &str) -> Map {
        let mut map = Map::new();
        if !text.is_empty() {
            map.insert("description", text);
        }
        map
    }

    fn property(&mut self, of: &str, field: &Field) -> Value {
        let text = self.texts.of_field(of, &field.json);
        let shape = match &field.ty {
            Type::Any if field.go.ends_with("FieldsV1") => {
                self.simple(FIELDS, value!({"type": "object"}))
            }
            Type::Any if field.go.ends_with("RawExtension") => {
                self.simple(RAW, value!({"type": "object"}))
            }
            ty => self.of(ty, field.values),
        };
        let mut schema = self.described(&with_values(text, field.values));
        let is_reference = shape.get("$ref").is_some();
        let default = self.default(field);
        match shape {
            // Nothing may stand beside a reference in version 3.
            shape if is_reference && self.dialect == Dialect::V3 => {
                schema.insert("allOf", Value::Array(vec![shape]));
            }
            Value::Object(shape) => shape.into_iter().for_each(|(key, value)| {
                schema.insert(key, value);
            }),
            _ => {}
        }
        if let Some(default) = default {
            schema.insert("default", default);
        }
        describe_patch(&mut schema, field.patch);
        match (schema.len(), schema.get("allOf")) {
            (1, Some(Value::Array(one))) if one.len() == 1 => one[0].clone(),
            _ => Value::Object(schema),
        }
    }

    /// The default that is declared, or that Go's zero value amounts to.
    fn default(&self, field: &Field) -> Option<Value> {
        let declared = field
            .default
            .and_then(|text| codec::json::parse_value(text.as_bytes()).ok());
        if declared.is_some() || self.dialect == Dialect::V2 || field.pointer {
            return declared;
        }
        match (&field.ty, field.omit) {
            (Type::Struct(_), _) => Some(Value::object()),
            (Type::String, Omit::Never) => Some("".into()),
            (Type::Int32 | Type::Int64 | Type::Float, Omit::Never) => Some(0.into()),
            (Type::Bool, Omit::Never) => Some(false.into()),
            _ => None,
        }
    }

    fn of(&mut self, ty: &Type, values: &[&str]) -> Value {
        match ty {
            Type::String if !values.is_empty() => {
                value!({"type": "string", "enum": values.to_vec()})
            }
            Type::String => value!({"type": "string"}),
            Type::Int32 => value!({"type": "integer", "format": "int32"}),
            Type::Int64 => value!({"type": "integer", "format": "int64"}),
            Type::Float => value!({"type": "number", "format": "double"}),
            Type::Bool => value!({"type": "boolean"}),
            Type::Bytes => value!({"type": "string", "format": "byte"}),
            Type::Duration => self.simple(DURATION, value!({"type": "string"})),
            Type::Time => self.simple(TIME, value!({"type": "string", "format": "date-time"})),
            Type::MicroTime => self.simple(
                MICRO_TIME,
                value!({"type": "string", "format": "date-time"}),
            ),
            Type::Quantity => {
                let schema = match self.dialect {
                    Dialect::V2 => value!({"type": "string"}),
                    Dialect::V3 => value!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
                };
                self.simple(QUANTITY, schema)
            }
            Type::IntOrString => {
                let schema = match self.dialect {
                    Dialect::V2 => value!({"type": "string", "format": "int-or-string"}),
                    Dialect::V3 => {
                        value!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
                    }
                };
                self.simple(INT_OR_STRING, schema)
            }
            Type::Any => value!({"type": "object"}),
            Type::Map(map) => {
                let mut schema = value!({"type": "object"});
                let value = self.element(&map.value, &[]);
                schema.set_at(&["additionalProperties"], value);
                if map.atomic {
                    schema.set_at(&["x-kubernetes-map-type"], "atomic");
                }
                schema
            }
            Type::List(list) => {
                let mut schema = value!({"type": "array"});
                let item = self.element(&list.item, values);
                schema.set_at(&["items"], item);
                describe_list(&mut schema, list);
                schema
            }
            Type::Struct(of) => {
                self.add(of);
                self.dialect.reference(&name(of))
            }
        }
    }

    /// A value of a map or an item of a list.
    fn element(&mut self, ty: &Type, values: &[&str]) -> Value {
        let mut schema = self.of(ty, values);
        if self.dialect == Dialect::V2 {
            return schema;
        }
        match ty {
            Type::Struct(_) => value!({"allOf": [schema], "default": {}}),
            Type::String => {
                schema.set_at(&["default"], "");
                schema
            }
            Type::Int32 | Type::Int64 => {
                schema.set_at(&["default"], 0);
                schema
            }
            _ => schema,
        }
    }

    /// Adds a type that is one value, once; gives a reference to it.
    fn simple(&mut self, name: &str, mut schema: Value) -> Value {
        if self.seen.insert(name.to_string()) {
            let text = self.texts.of_type(name);
            if !text.is_empty() {
                schema.set_at(&["description"], text);
            }
            self.done.insert(name, schema);
        }
        self.dialect.reference(name)
    }

    /// All that was gathered.
    pub(super) fn finish(self) -> Value {
        Value::Object(self.done)
    }
}

/// The text of a field, and which values it may have.
fn with_values(text: &str, values: &[&str]) -> String {
    if values.is_empty() {
        return text.to_string();
    }
    let list: Vec<String> = values.iter().map(|v| format!(" - `\"{v}\"`")).collect();
    let list = format!("Possible enum values:\n{}", list.join("\n"));
    match text.is_empty() {
        true => list,
        false => format!("{text}\n\n{list}"),
    }
}

fn describe_list(schema: &mut Value, list: &List) {
    match &list.kind {
        ListKind::Atomic if !list.declared => {}
        ListKind::Atomic => schema.set_at(&["x-kubernetes-list-type"], "atomic"),
        ListKind::Set => schema.set_at(&["x-kubernetes-list-type"], "set"),
        ListKind::Map(keys) => {
            let keys: Vec<&str> = keys.iter().map(|k| k.as_ref()).collect();
            schema.set_at(&["x-kubernetes-list-map-keys"], keys);
            schema.set_at(&["x-kubernetes-list-type"], "map");
        }
    }
}

fn describe_patch(schema: &mut Map, patch: Patch) {
    if !patch.key.is_empty() {
        schema.insert("x-kubernetes-patch-merge-key", patch.key);
    }
    let strategy = match (patch.merge, patch.retain_keys) {
        (true, true) => "merge,retainKeys",
        (true, false) => "merge",
        (false, true) => "retainKeys",
        (false, false) => return,
    };
    schema.insert("x-kubernetes-patch-strategy", strategy);
}
