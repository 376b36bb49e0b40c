//! What the graph knows of an object.

use super::{FOREGROUND, ORPHAN};
use client::Gvr;
use informer::{Cached, ObjectKey};
use std::collections::BTreeSet;
use std::sync::Arc;
use typed::meta::OwnerReference;
use typed::{DecodeError, PartialObject, Wire};

/// The part of an object that matters for its deletion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) revision: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) deleting: bool,
    pub(super) has_foreground: bool,
    pub(super) has_orphan: bool,
}

/// Where an object is, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It was seen in this resource.
    Seen {
        /// The resource.
        gvr: Arc<Gvr>,
        /// Whether its objects live in namespaces.
        namespaced: bool,
    },
    /// An object names it as its owner; nobody has seen it.
    Named {
        /// `group/version`.
        api_version: String,
        /// The kind.
        kind: String,
    },
}

/// An object in the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    /// Shared with the cache from which they come.
    pub(super) facts: Arc<Facts>,
    /// The uids of the objects that name it as an owner.
    pub(super) dependents: BTreeSet<String>,
}

impl Facts {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        PartialObject::decode(bytes).map(Self::of)
    }

    pub(super) fn of(object: PartialObject) -> Self {
        let meta = object.metadata;
        let finalizers = meta.finalizers.unwrap_or_default();
        let has = |finalizer: &str| finalizers.iter().any(|found| found == finalizer);
        Self {
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            revision: meta.resource_version.unwrap_or_default(),
            owners: meta.owner_references.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            has_foreground: has(FOREGROUND),
            has_orphan: has(ORPHAN),
        }
    }

    /// Whether the object waits for its dependents to go.
    pub(super) fn waits_for_dependents(&self) -> bool {
        self.deleting && self.has_foreground
    }

    /// Whether the object waits for its dependents to be orphaned.
    pub(super) fn waits_for_orphans(&self) -> bool {
        self.deleting && self.has_orphan
    }

    /// Whether the object keeps this owner from going.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        self.owners
            .iter()
            .any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
    }
}

impl Cached for Facts {
    fn object_key(&self) -> ObjectKey {
        ObjectKey::new(&*self.namespace, &*self.name)
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}
