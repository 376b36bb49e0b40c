//! OpenAPI 3.0, a document per group and version.

use super::paths;
use super::schemas::{Dialect, Schemas};
use crate::version::GIT_VERSION;
use descriptions::Descriptions;
use meta::{Map, Value, value};
use registry::Resource;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `api/v1`, `apis/apps/v1`, …
pub(super) fn by_version(kinds: &[Arc<Resource>]) -> BTreeMap<String, Vec<Arc<Resource>>> {
    let mut all: BTreeMap<String, Vec<Arc<Resource>>> = BTreeMap::new();
    for resource in kinds {
        let card = resource.card();
        let path = match card.group {
            "" => format!("api/{}", card.version),
            group => format!("apis/{group}/{}", card.version),
        };
        all.entry(path).or_default().push(resource.clone());
    }
    all
}

/// One document.
pub(super) fn make(kinds: &[Arc<Resource>], texts: &Descriptions) -> Value {
    let mut schemas = Schemas::new(Dialect::V3, texts);
    let mut paths = Map::new();
    for resource in kinds {
        schemas.add_kind(&*resource.kind);
        paths::add(&mut paths, &*resource.kind, Dialect::V3);
    }
    value!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "securitySchemes": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}}
        }
    })
}
