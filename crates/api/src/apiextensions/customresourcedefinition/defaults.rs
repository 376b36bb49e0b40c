//! Defaults. Follows pkg/apis/apiextensions/v1/defaults.go of apiextensions-apiserver.

use crate::fill;
use meta::Value;

pub(super) fn fill(object: &mut Value) {
    let Some(spec) = fill::part(object, "spec") else {
        return;
    };
    if let Some(names) = fill::part(spec, "names") {
        let kind = names.str_at(&["kind"]).to_string();
        if !kind.is_empty() {
            fill::empty(names, "singular", kind.to_lowercase());
            fill::empty(names, "listKind", format!("{kind}List"));
        }
    }
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.set_at(&["conversion", "strategy"], "None");
    }
    // What is read through a service goes to its secure port.
    if let Some(service) = spec.at_mut(&["conversion", "webhook", "clientConfig", "service"]) {
        fill::absent(service, "port", 443);
    }
}
