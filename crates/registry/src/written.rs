//! What an operation answers with.

use crate::registry::Resource;
use crate::stored::{self, Stored};
use bytes::Bytes;
use meta::object::Object as _;
use meta::{Status, Value};
use store::Revision;

/// An object as it stands after a write, or would stand after a dry run.
#[derive(Debug)]
pub struct Written {
    object: Object,
    /// It was made by this request.
    pub created: bool,
}

#[derive(Debug)]
enum Object {
    /// As it lies in the store. Many who write wait for the disk at the same
    /// time, and bytes are a tenth of the tree.
    Stored(Stored),
    /// As served: what was not stored, or is no more.
    Tree(Value),
}

impl Written {
    /// What was stored at a revision.
    pub(crate) fn stored(
        resource: &Resource,
        key: Bytes,
        value: &Bytes,
        revision: Revision,
        created: bool,
    ) -> Result<Self, Status> {
        let stored = Stored::bare(&resource.layout, key, value.into(), revision);
        Ok(Written {
            object: Object::Stored(stored.map_err(Status::internal)?),
            created,
        })
    }

    /// What was not stored, in the form in which it would have been, as of a
    /// revision.
    pub(crate) fn tree(
        resource: &Resource,
        object: Value,
        revision: Option<Revision>,
        created: bool,
    ) -> Self {
        Written {
            object: Object::Tree(serve_at(resource, object, revision)),
            created,
        }
    }

    /// The object as it lies in the store, if it does.
    pub fn as_stored(&self) -> Option<&Stored> {
        match &self.object {
            Object::Stored(stored) => Some(stored),
            Object::Tree(_) => None,
        }
    }

    /// The tree as `resource` serves it: with kind, apiVersion and
    /// resourceVersion.
    pub fn into_object(self, resource: &Resource) -> Result<Value, Status> {
        match self.object {
            Object::Stored(stored) => {
                let value = stored.to_value(resource.hub()).map_err(Status::internal)?;
                Ok(serve(resource, value))
            }
            Object::Tree(object) => Ok(object),
        }
    }
}

/// From the stored form to the one that this resource serves, as of a revision.
pub(crate) fn serve_at(
    resource: &Resource,
    mut object: Value,
    revision: Option<Revision>,
) -> Value {
    if let Some(revision) = revision {
        object
            .metadata_mut()
            .insert("resourceVersion", revision.to_string());
    }
    serve(resource, object)
}

/// From the stored form to the one that this resource serves.
pub(crate) fn serve(resource: &Resource, object: Value) -> Value {
    let mut object = match resource.kind.hub() {
        Some(hub) => hub.from_hub(object),
        None => object,
    };
    object.set_gvk(&resource.card().gvk());
    object
}

/// From the form that this resource serves to the stored one.
pub(crate) fn keep(resource: &Resource, object: Value) -> Value {
    match resource.kind.hub() {
        Some(hub) => {
            let mut object = hub.to_hub(object);
            object.set_gvk(&hub.kind().card().gvk());
            object
        }
        None => object,
    }
}

/// The bytes to store, complete.
pub(crate) fn bytes(resource: &Resource, object: &mut Value) -> Bytes {
    codec::complete(object, &resource.hub().card().schema);
    stored::encode(object)
}

/// A record of the store as a tree in its stored form.
pub(crate) fn read(resource: &Resource, record: &store::Record) -> Result<Value, Status> {
    stored::record_to_value(resource.hub(), record).map_err(Status::internal)
}
