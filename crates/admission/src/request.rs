//! What a plugin is told of a request.

use auth::User;
use meta::{GroupResource, GroupVersionKind, Status};
use std::fmt;

/// A write on its way into the store.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub user: &'a User,
    /// What is asked.
    pub operation: Operation,
    /// Empty for the core group.
    pub group: &'a str,
    /// `pods`
    pub resource: &'a str,
    /// `status`; empty for the object itself.
    pub subresource: &'a str,
    /// What the object is.
    pub kind: &'a GroupVersionKind,
    /// Empty for objects outside of namespaces.
    pub namespace: &'a str,
    /// Empty while a name is still to be made.
    pub name: &'a str,
    /// Nothing will be kept.
    pub dry_run: bool,
}

/// What is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed one.
    Update,
    /// One less.
    Delete,
    /// A stream to one: exec, attach, port-forward, proxy.
    Connect,
}

impl Operation {
    /// As messages spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

impl Request<'_> {
    /// Whether the request is about this resource itself, not a subresource.
    pub fn is(&self, group: &str, resource: &str) -> bool {
        self.group == group && self.resource == resource && self.subresource.is_empty()
    }

    /// `pods "x" is forbidden: why`
    pub fn forbidden(&self, why: impl fmt::Display) -> Status {
        let resource = GroupResource::new(self.group, self.resource);
        Status::forbidden(&resource, self.name, why)
    }
}
