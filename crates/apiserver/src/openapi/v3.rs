//! OpenAPI 3.0, a document per group and version.

use super::{paths, schemas};
use crate::server::Server;
use crate::version::GIT_VERSION;
use meta::{Map, Value, value};
use registry::Resource;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

type ByVersion = BTreeMap<String, Vec<Arc<Resource>>>;

/// `api/v1`, `apis/apps/v1`, …
fn by_version(server: &Server) -> ByVersion {
    let mut all = ByVersion::new();
    for resource in server.registry.resources() {
        let card = resource.card();
        let path = match card.group {
            "" => format!("api/{}", card.version),
            group => format!("apis/{group}/{}", card.version),
        };
        all.entry(path).or_default().push(resource);
    }
    all.values_mut()
        .for_each(|list| list.sort_by_key(|r| r.card().plural.to_string()));
    all
}

/// Where the documents are.
pub(super) fn index(server: &Server) -> Value {
    let entries = by_version(server).into_iter().map(|(path, resources)| {
        let document = make(&resources).to_json();
        let hash: String = Sha256::digest(document.as_bytes())
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect();
        let url = format!("/openapi/v3/{path}?hash={hash}");
        (path, value!({"serverRelativeURL": url}))
    });
    value!({"paths": Value::Object(entries.collect::<Map>())})
}

/// One document.
pub(super) fn document(server: &Server, path: &str) -> Option<Value> {
    by_version(server)
        .get(path)
        .map(|resources| make(resources))
}

fn make(resources: &[Arc<Resource>]) -> Value {
    let mut schemas = schemas::Schemas::default();
    let mut paths = Map::new();
    for resource in resources {
        schemas.add_kind(resource.card());
        paths::add(&mut paths, resource.card());
    }
    value!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "components": {"schemas": schemas.finish()}
    })
}
