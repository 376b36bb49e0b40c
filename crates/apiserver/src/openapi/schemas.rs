//! The types that a document speaks of, and all that these hold.

use api::Card;
use meta::schema::{Field, ListKind, Patch, Struct, Type};
use meta::{Map, Value, value};
use std::collections::BTreeSet;

/// Where a document keeps its schemas.
const HOME: &str = "#/components/schemas/";

/// Schemas as they are gathered.
#[derive(Default)]
pub(super) struct Schemas {
    done: Map,
    seen: BTreeSet<String>,
}

/// How OpenAPI names a type: `io.k8s.api.core.v1.Pod`.
pub(super) fn name(of: &Struct) -> String {
    let (host, rest) = of.package.split_once('/').unwrap_or((&of.package, ""));
    let host: Vec<&str> = host.split('.').rev().collect();
    format!("{}.{}.{}", host.join("."), rest.replace('/', "."), of.name)
}

fn reference(of: &Struct) -> Value {
    value!({"$ref": format!("{HOME}{}", name(of))})
}

impl Schemas {
    /// Adds a kind, its list, and all that they hold.
    pub(super) fn add_kind(&mut self, card: &Card) {
        let kind = value!([{"group": card.group, "version": card.version, "kind": card.kind}]);
        self.add(card.schema);
        let full = name(card.schema);
        if let Some(schema) = self.done.get_mut(&full) {
            schema.set_at(&["x-kubernetes-group-version-kind"], kind);
        }
        let list = api::schema::find(&card.schema.package, &format!("{}List", card.kind));
        if let Some(list) = list {
            self.add(list);
            let kind = format!("{}List", card.kind);
            let kind = value!([{"group": card.group, "version": card.version, "kind": kind}]);
            if let Some(schema) = self.done.get_mut(&name(list)) {
                schema.set_at(&["x-kubernetes-group-version-kind"], kind);
            }
        }
        self.add(&api::generated::meta_v1::STATUS);
        self.add(&api::generated::meta_v1::DELETE_OPTIONS);
    }

    fn add(&mut self, of: &Struct) {
        let name = name(of);
        if !self.seen.insert(name.clone()) {
            return;
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in of.fields.iter() {
            properties.insert(field.json.as_ref(), self.property(field));
            if field.required {
                required.push(Value::from(field.json.as_ref()));
            }
        }
        let mut schema = value!({"type": "object"});
        let map = schema.make_object();
        if !properties.is_empty() {
            map.insert("properties", properties);
        }
        if !required.is_empty() {
            map.insert("required", Value::Array(required));
        }
        if of.atomic {
            map.insert("x-kubernetes-map-type", "atomic");
        }
        self.done.insert(name, schema);
    }

    fn property(&mut self, field: &Field) -> Value {
        let mut schema = match &field.ty {
            Type::Struct(of) => {
                self.add(of);
                value!({"allOf": [reference(of)], "default": {}})
            }
            other => self.of(other),
        };
        if field.pointer {
            schema.remove_at(&["default"]);
        }
        describe_patch(&mut schema, field.patch);
        schema
    }

    fn of(&mut self, ty: &Type) -> Value {
        match ty {
            Type::String | Type::Duration => value!({"type": "string"}),
            Type::Int32 => value!({"type": "integer", "format": "int32"}),
            Type::Int64 => value!({"type": "integer", "format": "int64"}),
            Type::Float => value!({"type": "number", "format": "double"}),
            Type::Bool => value!({"type": "boolean"}),
            Type::Bytes => value!({"type": "string", "format": "byte"}),
            Type::Time | Type::MicroTime => value!({"type": "string", "format": "date-time"}),
            Type::Quantity => value!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Type::IntOrString => {
                value!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Type::Any => value!({"type": "object"}),
            Type::Map(map) => {
                let mut schema = value!({"type": "object"});
                schema.set_at(&["additionalProperties"], self.of(&map.value));
                if map.atomic {
                    schema.set_at(&["x-kubernetes-map-type"], "atomic");
                }
                schema
            }
            Type::List(list) => {
                let mut schema = value!({"type": "array"});
                schema.set_at(&["items"], self.of(&list.item));
                describe_list(&mut schema, &list.kind);
                schema
            }
            Type::Struct(of) => {
                self.add(of);
                value!({"allOf": [reference(of)], "default": {}})
            }
        }
    }

    /// All that was gathered.
    pub(super) fn finish(self) -> Value {
        Value::Object(self.done)
    }
}

fn describe_list(schema: &mut Value, kind: &ListKind) {
    match kind {
        ListKind::Atomic => schema.set_at(&["x-kubernetes-list-type"], "atomic"),
        ListKind::Set => schema.set_at(&["x-kubernetes-list-type"], "set"),
        ListKind::Map(keys) => {
            let keys: Vec<&str> = keys.iter().map(|k| k.as_ref()).collect();
            schema.set_at(&["x-kubernetes-list-map-keys"], keys);
            schema.set_at(&["x-kubernetes-list-type"], "map");
        }
    }
}

fn describe_patch(schema: &mut Value, patch: Patch) {
    if !patch.key.is_empty() {
        schema.set_at(&["x-kubernetes-patch-merge-key"], patch.key);
    }
    let strategy = match (patch.merge, patch.retain_keys) {
        (true, true) => "merge,retainKeys",
        (true, false) => "merge",
        (false, true) => "retainKeys",
        (false, false) => return,
    };
    schema.set_at(&["x-kubernetes-patch-strategy"], strategy);
}
