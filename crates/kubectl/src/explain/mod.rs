//! `explain`: what the cluster's OpenAPI documents say of a kind and its fields.
//!
//! The document is read as the tree that the server sends; nothing is known here of any kind.

mod document;
mod v2;
mod v3;
mod wrap;

pub(crate) use document::Document;

/// What is asked for.
pub(crate) struct Question<'a> {
    /// The group, version and resource, for errors.
    pub(crate) group: &'a str,
    /// The version.
    pub(crate) version: &'a str,
    /// The resource's plural name.
    pub(crate) resource: &'a str,
    /// The path of the field below the kind.
    pub(crate) fields: &'a [String],
    /// The fields of fields too.
    pub(crate) recursive: bool,
    /// How deep; zero is without end.
    pub(crate) depth: usize,
}

impl Question<'_> {
    /// `apps/v1, Resource=deployments`, as upstream writes such a triple.
    pub(crate) fn words(&self) -> String {
        format!(
            "{}/{}, Resource={}",
            self.group, self.version, self.resource
        )
    }
}

pub(crate) use v2::explain as explain_v2;
pub(crate) use v3::explain as explain_v3;
