//! Fixtures of this crate's tests.

use serde_json::{Value, json};
use typed::Wire;
use typed::api::core::v1::Pod;

/// A pod `default/web` with this spec.
pub fn pod(spec: Value) -> Pod {
    pod_named("web", spec)
}

/// A pod of this name with this spec; its uid is `uid-<name>`.
pub fn pod_named(name: &str, spec: Value) -> Pod {
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "generation": 1,
        },
        "spec": spec,
    });
    decode(object)
}

/// A pod from a whole document.
pub fn decode(object: Value) -> Pod {
    Pod::decode(object.to_string().as_bytes()).expect("a pod")
}
