//! Custom resources in documents: their schema as their definition has it, and
//! what every object has besides. Follows pkg/controller/openapi/{builder,v2}
//! of apiextensions-apiserver.

use super::schemas::{self, Dialect};
use api::Kind;
use descriptions::Descriptions;
use meta::{Map, Value, value};

/// The kind from which the texts of what all objects have are taken.
const ANY: &str = "io.k8s.api.core.v1.ConfigMap";

/// How documents name the lists of a kind.
pub(super) fn list_name(kind: &dyn Kind) -> String {
    let own = schemas::name(&kind.card().schema);
    let stem = own.trim_end_matches(kind.card().kind);
    format!("{stem}{}", kind.list_kind())
}

/// The schema of a kind.
pub(super) fn resource(
    schema: &Value,
    metadata: Value,
    dialect: Dialect,
    texts: &Descriptions,
) -> Map {
    let mut schema = schema.clone();
    if dialect == Dialect::V2 {
        simplify(&mut schema);
    }
    common(&mut schema, metadata, dialect, texts);
    match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The schema of a kind's lists.
pub(super) fn list(
    item: Value,
    metadata: Value,
    kind: &str,
    dialect: Dialect,
    texts: &Descriptions,
) -> Value {
    let mut schema = value!({
        "description": format!("{kind}List is a list of {kind}"), "type": "object",
        "required": ["items"],
        "properties": {"items": {
            "description": format!("List of {kind}."), "type": "array", "items": item
        }}
    });
    common(&mut schema, metadata, dialect, texts);
    schema
}

/// What all objects have.
fn common(schema: &mut Value, metadata: Value, dialect: Dialect, texts: &Descriptions) {
    schema.set_at(&["type"], "object");
    for name in ["apiVersion", "kind"] {
        let text = texts.of_field(ANY, name);
        let field = value!({"type": "string", "description": text});
        schema.set_at(&["properties", name], field);
    }
    let text = texts.of_field(ANY, "metadata");
    let metadata = match dialect {
        Dialect::V3 => value!({"description": text, "allOf": [metadata]}),
        Dialect::V2 => metadata,
    };
    schema.set_at(&["properties", "metadata"], metadata);
}

/// Clients of version 2 know no junctors, no nulls and no mixed types.
fn simplify(schema: &mut Value) {
    let is = |schema: &Value, key: &str| schema.is_true_at(&[key]);
    let loose = is(schema, "nullable")
        || is(schema, "x-kubernetes-preserve-unknown-fields")
        || is(schema, "x-kubernetes-int-or-string");
    let Value::Object(map) = schema else { return };
    for key in ["allOf", "anyOf", "oneOf", "not", "nullable", "default"] {
        map.remove(key);
    }
    if loose {
        for key in ["type", "items", "properties", "additionalProperties"] {
            map.remove(key);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.iter_mut().for_each(|(_, of)| simplify(of));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(of) = map.get_mut(key) {
            simplify(of);
        }
    }
}
