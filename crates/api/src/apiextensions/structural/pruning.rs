//! Dropping what a schema does not name. Follows
//! pkg/apiserver/schema/pruning/algorithm.go of apiextensions-apiserver.

use super::{Additional, Structural};
use crate::generated::meta_v1::OBJECT_META;
use meta::{Path, Value};

/// What every object has, whatever its schema says.
const COMMON: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Structural {
    /// Drops what this schema does not name from a whole resource, and says
    /// which fields those were. Its metadata is somebody else's business.
    pub fn prune(&self, resource: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        prune(resource, Some(self), true, &Path::root(), &mut dropped);
        dropped
    }
}

fn prune(
    value: &mut Value,
    schema: Option<&Structural>,
    is_root: bool,
    path: &Path,
    dropped: &mut Vec<String>,
) {
    let keeps = schema.is_some_and(|s| s.preserve_unknown);
    let is_resource = is_root || schema.is_some_and(|s| s.embedded);
    match value {
        Value::Object(map) => map.retain(|key, inner| {
            let path = path.child(key);
            if is_resource && COMMON.contains(&key) {
                if !is_root && key == "metadata" {
                    prune_metadata(inner, &path, dropped);
                }
                return true;
            }
            let Some(schema) = schema else {
                dropped.push(path.to_string());
                return false;
            };
            match (schema.properties.get(key), &schema.additional) {
                (Some(of), _) => prune(inner, Some(of), false, &path, dropped),
                (None, Additional::Of(of)) => prune(inner, Some(of), false, &path, dropped),
                (None, Additional::Any(true)) => prune(inner, None, false, &path, dropped),
                _ if keeps => {}
                _ => {
                    dropped.push(path.to_string());
                    return false;
                }
            }
            true
        }),
        Value::Array(items) => {
            let of = schema.and_then(|s| s.items.as_deref());
            if of.is_none() && keeps {
                return;
            }
            for (i, item) in items.iter_mut().enumerate() {
                prune(item, of, false, &path.index(i), dropped);
            }
        }
        _ => {}
    }
}

fn prune_metadata(metadata: &mut Value, path: &Path, dropped: &mut Vec<String>) {
    if let Value::Object(map) = metadata {
        map.retain(|key, _| {
            let is_known = OBJECT_META.field(key).is_some();
            if !is_known {
                dropped.push(path.child(key).to_string());
            }
            is_known
        });
    }
}

impl Structural {
    /// As [`Structural::prune`], for a value that is no whole resource.
    pub fn prune_inner(&self, value: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        prune(value, Some(self), false, &Path::root(), &mut dropped);
        dropped
    }
}
