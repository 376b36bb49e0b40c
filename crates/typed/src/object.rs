//! What all kinds have in common: an identity and metadata.

use crate::Wire;
use crate::meta::{ObjectMeta, OwnerReference, Time};
use std::collections::BTreeMap;

/// Labels and annotations.
pub type Labels = BTreeMap<String, String>;

static NO_LABELS: Labels = Labels::new();

/// A kind with a typed form; implemented by the table in `kinds.rs`.
pub trait Typed:
    Wire + Clone + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// API group; empty for the core group.
    const GROUP: &'static str;
    /// Version within the group.
    const VERSION: &'static str;
    /// `group/version`, or the version alone in the core group.
    const API_VERSION: &'static str;
    /// The kind's name.
    const KIND: &'static str;
    /// The resource name in paths.
    const PLURAL: &'static str;
    /// Whether objects live in namespaces.
    const NAMESPACED: bool;

    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// The object's metadata, to change.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;

    /// The name, empty when unset.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The namespace, empty when unset or cluster-scoped.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// The uid, empty before the object is stored.
    fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// The resource version, empty before the object is stored.
    fn resource_version(&self) -> &str {
        self.metadata()
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }

    /// The generation, 0 when the kind has none.
    fn generation(&self) -> i64 {
        self.metadata().generation.unwrap_or_default()
    }

    /// The labels.
    fn labels(&self) -> &Labels {
        self.metadata().labels.as_ref().unwrap_or(&NO_LABELS)
    }

    /// The annotations.
    fn annotations(&self) -> &Labels {
        self.metadata().annotations.as_ref().unwrap_or(&NO_LABELS)
    }

    /// The labels, to change.
    fn labels_mut(&mut self) -> &mut Labels {
        self.metadata_mut().labels.get_or_insert_default()
    }

    /// The annotations, to change.
    fn annotations_mut(&mut self) -> &mut Labels {
        self.metadata_mut().annotations.get_or_insert_default()
    }

    /// Who owns the object.
    fn owner_references(&self) -> &[OwnerReference] {
        self.metadata()
            .owner_references
            .as_deref()
            .unwrap_or_default()
    }

    /// The owner that manages the object, if one does.
    fn controller(&self) -> Option<&OwnerReference> {
        controller_of(self.metadata())
    }

    /// Whether deletion was asked for.
    fn is_deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// When the object was created.
    fn created(&self) -> Option<&Time> {
        self.metadata().creation_timestamp.as_ref()
    }

    /// `namespace/name`, or the name alone for cluster-scoped objects.
    fn key(&self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }

    /// A reference that makes this object the managing owner of another.
    fn controller_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: Self::API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// A reference to this object, as events carry it.
    fn object_reference(&self) -> crate::api::core::v1::ObjectReference {
        let meta = self.metadata();
        crate::api::core::v1::ObjectReference {
            api_version: Some(Self::API_VERSION.to_owned()),
            kind: Some(Self::KIND.to_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            field_path: None,
        }
    }
}

/// The managing owner among an object's owners, if there is one.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .as_ref()?
        .iter()
        .find(|owner| owner.controller == Some(true))
}
