//! An OpenAPI document and the schemas in it.

use meta::Value;

/// A document of version 2 or 3.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// The schema that a reference names: `#/components/schemas/io.k8s.api.core.v1.Pod`.
    pub(crate) fn resolve(&self, reference: &str) -> Option<&Value> {
        let mut here = &self.0;
        for step in reference.strip_prefix("#/")?.split('/') {
            here = here.get(step)?;
        }
        Some(here)
    }

    /// A schema, or the one that it refers to.
    pub(crate) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        self.resolve(reference(schema)).unwrap_or(schema)
    }

    /// The schemas that are said to be of a group, version and kind.
    pub(crate) fn of_kind<'a>(
        &'a self,
        schemas: &[&str],
        kind: &'a Value,
    ) -> impl Iterator<Item = &'a Value> {
        let all = self.0.at(schemas).and_then(Value::as_object);
        let all = all.into_iter().flat_map(meta::Map::iter);
        all.map(|(_, schema)| schema)
            .filter(move |schema| schema.items_at(&[KINDS]).contains(kind))
    }
}

/// The extension that names the kinds that a schema or an operation is for.
pub(crate) const KINDS: &str = "x-kubernetes-group-version-kind";

/// The reference that a schema is, or nothing.
pub(crate) fn reference(schema: &Value) -> &str {
    schema.str_at(&["$ref"])
}

/// The schema of what an object holds under names of the user's choice.
pub(crate) fn additional(schema: &Value) -> Option<&Value> {
    schema
        .get("additionalProperties")
        .filter(|below| below.as_object().is_some_and(|map| !map.is_empty()))
}

/// The schema of a list's items.
pub(crate) fn items(schema: &Value) -> Option<&Value> {
    schema
        .get("items")
        .filter(|below| below.as_object().is_some_and(|map| !map.is_empty()))
}
