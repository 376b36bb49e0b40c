//! What a ReplicationController is when its author does not say: it selects
//! what its template makes. Follows pkg/apis/core/v1/defaults.go.

use crate::core::pod::template;
use crate::fill::{self, part};
use meta::Value;

pub(super) fn fill(object: &mut Value) {
    let spec = object.make_object().entry("spec");
    fill::absent(spec, "replicas", 1);
    let Some(pods) = part(spec, "template") else {
        return;
    };
    template::default(pods);
    let labels = pods.at(&["metadata", "labels"]).cloned();
    let Some(labels) = labels.filter(|l| !l.is_empty()) else {
        return;
    };
    fill::empty(spec, "selector", labels.clone());
    let metadata = object.make_object().entry("metadata");
    fill::empty(metadata, "labels", labels);
}
