//! What of a Namespace is the server's to say. Follows
//! pkg/registry/core/namespace/strategy.go.

use crate::kind::Door;
use meta::object::Object as _;
use meta::{Value, labels};

/// What holds a namespace until its content is gone.
const FINALIZER: &str = "kubernetes";

/// A namespace bears its name as a label, whatever its author does.
pub(super) fn default(namespace: &mut Value) {
    let name = namespace.name().to_string();
    if !name.is_empty() {
        namespace.set_at(&["metadata", "labels", labels::NAMESPACE_NAME], name);
    }
    let status = namespace.make_object().entry("status");
    crate::fill::empty(status, "phase", "Active");
}

pub(super) fn prepare_create(namespace: &mut Value) {
    namespace.set_at(&["status"], meta::value!({"phase": "Active"}));
    let spec = namespace.make_object().entry("spec").make_object();
    let finalizers = spec.entry("finalizers").make_array();
    if !finalizers.iter().any(|f| f.as_str() == Some(FINALIZER)) {
        finalizers.push(FINALIZER.into());
    }
}

/// Finalizers go through their own door only.
pub(super) fn prepare_update(namespace: &mut Value, old: &Value, door: Door) {
    let part = match door {
        Door::Main => "spec",
        Door::Other("finalize") => "status",
        _ => return,
    };
    let map = namespace.make_object();
    match old.get(part) {
        Some(value) => map.insert(part, value.clone()),
        None => map.remove(part),
    };
}

/// A namespace that goes says so before it is gone.
pub(super) fn prepare_delete(namespace: &mut Value) {
    namespace.set_at(&["status", "phase"], "Terminating");
}

pub(super) fn is_held(namespace: &Value) -> bool {
    !namespace.items_at(&["spec", "finalizers"]).is_empty()
}
