//! Brings one set about: its parent first, so that nothing that is made can be
//! forgotten, then the objects, and last what is no longer wanted goes.

use crate::file;
use crate::set::{self, FILE, HOME, ID, KEPT_BY, PART_OF, Parent};
use client::{
    ApiResource, Client, DeleteOptions, Discovery, Gvr, ListOptions, Patch, Propagation, Resource,
    WriteOptions,
};
use meta::Value;
use meta::object::Object as _;
use std::collections::BTreeSet;

/// Who owns the fields.
const MANAGER: &str = "tiphys-manifests";

/// Why a set is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The API server refused.
    #[error("{operation} {what}")]
    Api {
        operation: &'static str,
        what: String,
        #[source]
        source: client::Error,
    },
    /// The cluster has no such kind, or not yet.
    #[error("no matches for kind {kind:?} in version {version:?}")]
    NoKind { kind: String, version: String },
    /// An answer was no object.
    #[error("reading {what}")]
    Answer {
        what: String,
        #[source]
        source: codec::json::Error,
    },
}

pub(crate) struct Applier {
    client: Client,
}

/// An object and where it lives.
struct Placed {
    object: Value,
    resource: Resource,
    kind: String,
}

impl Applier {
    pub(crate) fn new(client: Client) -> Self {
        Applier { client }
    }

    /// Makes the objects of a file be as it says, and no others of it.
    pub(crate) async fn apply(&self, file: &str, objects: Vec<Value>) -> Result<(), Error> {
        let parent = Parent::of(file);
        let before = self.parent(&parent.name()).await?;
        let before = before.as_ref().map(set::kinds_of).unwrap_or_default();
        let wanted: BTreeSet<String> = objects.iter().map(group_kind).collect();
        let all: BTreeSet<String> = before.union(&wanted).cloned().collect();
        let namespaces: BTreeSet<String> = objects
            .iter()
            .map(|object| object.namespace())
            .filter(|namespace| !matches!(*namespace, "" | HOME))
            .map(str::to_string)
            .collect();
        self.apply_parent(&parent, &all, &namespaces).await?;
        let discovery = self.discover().await?;
        let mut kept = BTreeSet::new();
        for object in objects {
            // Kinds that the file itself defines come to be on the way.
            let placed = match self.place(&discovery, object) {
                Ok(placed) => placed,
                Err(object) => {
                    let discovery = self.discover().await?;
                    let placed = self.place(&discovery, object);
                    placed.map_err(|object| no_kind(&object))?
                }
            };
            kept.insert(self.apply_one(placed, &parent.id()).await?);
        }
        self.prune(&parent.id(), &all, &kept).await?;
        self.apply_parent(&parent, &wanted, &namespaces).await
    }

    /// Removes the sets of all files but these; says which.
    pub(crate) async fn sweep(&self, keep: &[&str]) -> Result<Vec<String>, Error> {
        let parents = config_maps(&self.client);
        let options = ListOptions::labels(format!("{}={}", KEPT_BY.0, KEPT_BY.1));
        let list = parents.list(&options).await;
        let list = list.map_err(|source| api("listing", "the sets of manifests", source))?;
        let mut removed = Vec::new();
        for item in &list.items {
            let parent = parse(item, "a set of manifests")?;
            let file = parent.str_at(&["metadata", "annotations", FILE]);
            if file.is_empty() || keep.contains(&file) {
                continue;
            }
            let id = parent.label(ID).unwrap_or_default();
            self.prune(id, &set::kinds_of(&parent), &BTreeSet::new())
                .await?;
            delete(&parents, parent.name(), parent.uid()).await?;
            removed.push(file.to_string());
        }
        Ok(removed)
    }

    async fn discover(&self) -> Result<Discovery, Error> {
        let found = self.client.discover().await;
        found.map_err(|source| api("discovering", "what the server serves", source))
    }

    async fn parent(&self, name: &str) -> Result<Option<Value>, Error> {
        match config_maps(&self.client).get(name, "").await {
            Ok(bytes) => parse(&bytes, name).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(source) => Err(api("reading", name, source)),
        }
    }

    async fn apply_parent(
        &self,
        parent: &Parent,
        kinds: &BTreeSet<String>,
        namespaces: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let object = parent.object(kinds, namespaces);
        let applied = patch(&config_maps(&self.client), object).await;
        applied.map(drop)
    }

    /// Where an object lives; the object itself when no kind is as it says.
    fn place(&self, discovery: &Discovery, mut object: Value) -> Result<Placed, Value> {
        let Some(gvk) = object.gvk() else {
            return Err(object);
        };
        let found = discovery.resources.iter().find(|resource| {
            resource.kind == gvk.kind
                && resource.gvr.group == gvk.group.as_str()
                && resource.gvr.version == gvk.version.as_str()
        });
        let Some(found) = found else {
            return Err(object);
        };
        if found.namespaced && object.namespace().is_empty() {
            object.metadata_mut().insert("namespace", "default");
        }
        let resource = at(&self.client, found, object.namespace());
        let kind = group_kind(&object);
        Ok(Placed {
            object,
            resource,
            kind,
        })
    }

    /// Applies one object; says which it is.
    async fn apply_one(&self, placed: Placed, set: &str) -> Result<String, Error> {
        let Placed {
            mut object,
            resource,
            kind,
        } = placed;
        object.metadata_mut().object("labels").insert(PART_OF, set);
        let applied = patch(&resource, object).await?;
        Ok(identity(&kind, &applied))
    }

    /// Deletes what belongs to a set and is not kept.
    async fn prune(
        &self,
        set: &str,
        kinds: &BTreeSet<String>,
        kept: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let discovery = self.discover().await?;
        for kind in kinds {
            let Some(resource) = discovery.resources.iter().find(|r| name_of(r) == *kind) else {
                // What cannot be asked for cannot be there.
                continue;
            };
            let everywhere = self
                .client
                .resource(resource.gvr.clone(), resource.namespaced);
            let options = ListOptions::labels(format!("{PART_OF}={set}"));
            let list = everywhere.list(&options).await;
            let list = list.map_err(|source| api("listing", kind, source))?;
            for item in &list.items {
                let object = parse(item, kind)?;
                if !kept.contains(&identity(kind, &object)) {
                    let place = at(&self.client, resource, object.namespace());
                    delete(&place, object.name(), object.uid()).await?;
                }
            }
        }
        Ok(())
    }
}

async fn patch(resource: &Resource, object: Value) -> Result<Value, Error> {
    let name = object.name().to_string();
    let what = format!("{} {name:?}", resource.gvr());
    let patch = Patch::Apply {
        object: to_json(&object),
        field_manager: MANAGER.into(),
        force: true,
    };
    let answer = resource
        .patch(&name, "", &patch, &WriteOptions::default())
        .await;
    let answer = answer.map_err(|source| api("applying", &what, source))?;
    parse(&answer, &what)
}

/// The client's patches are serde's trees.
fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.to_string(), to_json(v)))
            .collect(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        scalar => serde_json::from_str(&scalar.to_json()).unwrap_or_default(),
    }
}

async fn delete(resource: &Resource, name: &str, uid: &str) -> Result<(), Error> {
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::uid(uid)
    };
    match resource.delete(name, &options).await {
        Ok(_) => Ok(()),
        // It went, or another one has its name now.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(source) => Err(api(
            "deleting",
            &format!("{} {name:?}", resource.gvr()),
            source,
        )),
    }
}

fn config_maps(client: &Client) -> Resource {
    client
        .resource(Gvr::new("", "v1", "configmaps"), true)
        .namespace(HOME)
}

fn at(client: &Client, found: &ApiResource, namespace: &str) -> Resource {
    let resource = client.resource(found.gvr.clone(), found.namespaced);
    match found.namespaced {
        true => resource.namespace(namespace),
        false => resource,
    }
}

/// `Kind.group`, or the kind alone in the core group.
fn group_kind(object: &Value) -> String {
    let gvk = object.gvk().unwrap_or_default();
    joined(&gvk.kind, &gvk.group)
}

fn name_of(resource: &ApiResource) -> String {
    joined(&resource.kind, &resource.gvr.group)
}

fn joined(kind: &str, group: &str) -> String {
    match group {
        "" => kind.to_string(),
        group => format!("{kind}.{group}"),
    }
}

fn identity(kind: &str, object: &Value) -> String {
    format!("{kind}/{}/{}", object.namespace(), object.name())
}

fn no_kind(object: &Value) -> Error {
    Error::NoKind {
        kind: object.str_at(&["kind"]).into(),
        version: object.str_at(&["apiVersion"]).into(),
    }
}

fn parse(bytes: &[u8], what: &str) -> Result<Value, Error> {
    codec::json::parse_value(bytes).map_err(|source| Error::Answer {
        what: what.into(),
        source,
    })
}

fn api(operation: &'static str, what: &str, source: client::Error) -> Error {
    Error::Api {
        operation,
        what: what.into(),
        source,
    }
}
