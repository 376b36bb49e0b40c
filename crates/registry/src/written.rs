//! What an operation answers with.

use crate::registry::Resource;
use crate::stored;
use bytes::Bytes;
use meta::object::Object as _;
use meta::{Status, Value};
use store::Revision;

/// An object as it stands after a write, or would stand after a dry run.
#[derive(Debug)]
pub struct Written {
    /// The tree as served: with kind, apiVersion and resourceVersion.
    pub object: Value,
    /// It was made by this request.
    pub created: bool,
}

impl Written {
    /// An object in the form in which it was stored, at a revision.
    pub(crate) fn new(
        resource: &Resource,
        mut object: Value,
        revision: Option<Revision>,
        created: bool,
    ) -> Self {
        if let Some(revision) = revision {
            object
                .metadata_mut()
                .insert("resourceVersion", revision.to_string());
        }
        Written {
            object: serve(resource, object),
            created,
        }
    }

    /// As JSON.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        self.object.write_object(&mut out);
        out.into()
    }
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
