//! What a LimitRange means when its author says only a part: for containers
//! the limit defaults to the most, the request to the limit or the least.
//! Follows SetDefaults_LimitRangeItem in pkg/apis/core/v1/defaults.go.

use crate::fill;
use meta::Value;

pub(super) fn fill(object: &mut Value) {
    let Some(spec) = fill::part(object, "spec") else {
        return;
    };
    for limit in fill::items(spec, "limits") {
        if limit.str_at(&["type"]) == "Container" {
            take_over(limit, "max", "default");
            take_over(limit, "default", "defaultRequest");
            take_over(limit, "min", "defaultRequest");
        }
    }
}

/// What one list has and another has not.
fn take_over(limit: &mut Value, from: &str, to: &str) {
    let Some(source) = limit.get(from).filter(|list| !list.is_empty()).cloned() else {
        return;
    };
    let target = limit.make_object().object(to);
    for (name, value) in source.as_object().into_iter().flat_map(|map| map.iter()) {
        if !target.contains_key(name) {
            target.insert(name.clone(), value.clone());
        }
    }
}
