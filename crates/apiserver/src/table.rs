//! `meta.k8s.io/v1` Table: what `kubectl get` prints.

use crate::request::Query;
use jiff::Timestamp;
use meta::{Map, Status, Value, value};
use registry::Resource;

/// What rows carry besides their cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// Reads `includeObject`.
pub(crate) fn include(query: &Query) -> Result<Include, Status> {
    match query.get("includeObject") {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        other => Err(Status::bad_request(format!(
            "unrecognized includeObject value: {}",
            meta::field::quote(other)
        ))),
    }
}

/// A table of these objects.
pub(crate) fn of(
    resource: &Resource,
    objects: &[Value],
    revision: &str,
    include: Include,
    now: Timestamp,
) -> Value {
    let columns = resource.kind.columns().iter().map(|column| {
        value!({
            "name": &*column.name, "type": &*column.ty, "format": &*column.format, "description": &*column.description,
            "priority": column.priority
        })
    });
    let rows = objects
        .iter()
        .map(|object| row(resource, object, include, now));
    let mut metadata = Map::new();
    if !revision.is_empty() {
        metadata.insert("resourceVersion", revision);
    }
    value!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": Value::Array(columns.collect()), "rows": Value::Array(rows.collect())
    })
}

fn row(resource: &Resource, object: &Value, include: Include, now: Timestamp) -> Value {
    let mut row = Map::new();
    row.insert("cells", Value::Array(resource.kind.cells(object, now)));
    let conditions = resource.kind.row_conditions(object);
    if !conditions.is_empty() {
        row.insert("conditions", Value::Array(conditions));
    }
    match include {
        Include::None => {}
        Include::Metadata => {
            row.insert(
                "object",
                value!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object.get("metadata").cloned().unwrap_or_else(Value::object)
                }),
            );
        }
        Include::Object => {
            row.insert("object", object.clone());
        }
    }
    Value::Object(row)
}
