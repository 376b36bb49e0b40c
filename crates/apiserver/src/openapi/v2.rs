//! OpenAPI 2.0, one document for everything: what clients before 1.27 read for
//! apply and validation, and what generators of clients read.

use super::paths;
use super::schemas::{Dialect, Schemas};
use crate::version::GIT_VERSION;
use descriptions::Descriptions;
use meta::{Map, Value, value};
use registry::Resource;
use std::sync::Arc;

/// The document.
pub(super) fn make(kinds: &[Arc<Resource>], texts: &Descriptions) -> Value {
    let mut schemas = Schemas::new(Dialect::V2, texts);
    let mut paths = Map::new();
    for resource in kinds {
        schemas.add_kind(&*resource.kind);
        paths::add(&mut paths, &*resource.kind, Dialect::V2);
    }
    value!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "definitions": schemas.finish(),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}},
        "security": [{"BearerToken": []}]
    })
}
