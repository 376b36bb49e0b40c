//! Reading and writing the parts that every object has: type and metadata.

use crate::{GroupVersion, GroupVersionKind, Map, Value};

/// What every object carries, read from the tree.
pub trait Object {
    /// `apiVersion` and `kind`; `None` when either is absent or malformed.
    fn gvk(&self) -> Option<GroupVersionKind>;
    /// Sets `apiVersion` and `kind`.
    fn set_gvk(&mut self, gvk: &GroupVersionKind);
    /// `metadata`, when there is one.
    fn metadata(&self) -> Option<&Map>;
    /// `metadata`, made when there is none.
    fn metadata_mut(&mut self) -> &mut Map;
    /// A text of `metadata`, empty when absent.
    fn meta_str(&self, key: &str) -> &str;

    /// `metadata.name`
    fn name(&self) -> &str {
        self.meta_str("name")
    }
    /// `metadata.namespace`
    fn namespace(&self) -> &str {
        self.meta_str("namespace")
    }
    /// `metadata.uid`
    fn uid(&self) -> &str {
        self.meta_str("uid")
    }
    /// `metadata.resourceVersion`
    fn resource_version(&self) -> &str {
        self.meta_str("resourceVersion")
    }
    /// `metadata.generation`, 0 when absent.
    fn generation(&self) -> i64 {
        self.metadata()
            .and_then(|m| m.get("generation"))
            .and_then(Value::as_i64)
            .unwrap_or_default()
    }
    /// `metadata.labels`
    fn labels(&self) -> Option<&Value> {
        self.metadata()?.get("labels")
    }
    /// One label.
    fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)?.as_str()
    }
    /// One annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata()?.get("annotations")?.get(key)?.as_str()
    }
    /// `metadata.finalizers`
    fn finalizers(&self) -> Vec<&str> {
        let finalizers = self
            .metadata()
            .and_then(|m| m.get("finalizers"))
            .and_then(Value::as_array);
        finalizers
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }
    /// Whether the object is on its way out.
    fn is_deleting(&self) -> bool {
        self.metadata()
            .and_then(|m| m.get("deletionTimestamp"))
            .is_some_and(|v| !v.is_null())
    }
}

impl Object for Value {
    fn gvk(&self) -> Option<GroupVersionKind> {
        let kind = self.get("kind")?.as_str()?;
        let version = GroupVersion::parse(self.get("apiVersion")?.as_str()?)?;
        Some(version.kind(kind))
    }

    fn set_gvk(&mut self, gvk: &GroupVersionKind) {
        let map = self.make_object();
        map.insert("kind", gvk.kind.as_str());
        map.insert("apiVersion", gvk.group_version().to_string());
    }

    fn metadata(&self) -> Option<&Map> {
        self.get("metadata")?.as_object()
    }

    fn metadata_mut(&mut self) -> &mut Map {
        self.make_object().object("metadata")
    }

    fn meta_str(&self, key: &str) -> &str {
        self.metadata()
            .and_then(|m| m.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}
